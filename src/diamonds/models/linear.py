"""Linear regression of log price on carat, length, and cut, color and clarity one by one."""

from pydantic import BaseModel
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from diamonds.features import on_log_price, one_hot_with


class Params(BaseModel, extra="forbid"):
    """The measurements used beside the three grades."""

    numbers: tuple[str, ...] = ("carat", "x")


def build(params: Params) -> TransformedTargetRegressor:
    """An ordinary least squares regression; every grade acts as a factor on the price."""
    return on_log_price(make_pipeline(one_hot_with(params.numbers), LinearRegression()))
