"""Gradient boosted trees on histograms (scikit-learn's own) on log price, on graded ranks, measurements and shape."""

from pydantic import BaseModel, Field
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import make_pipeline

from diamonds.features import on_log_price, ranks_and_shape


class Params(BaseModel, extra="forbid"):
    """Scikit-learn's own parameters, by its own names."""

    max_iter: int = Field(default=300, gt=0)
    learning_rate: float = Field(default=0.06, gt=0, le=1)
    max_leaf_nodes: int = Field(default=60, ge=2)
    min_samples_leaf: int = Field(default=20, ge=1)
    l2_regularization: float = Field(default=1, ge=0)
    random_state: int = 42


def build(params: Params) -> TransformedTargetRegressor:
    """A regressor with these parameters."""
    boosting = HistGradientBoostingRegressor(**params.model_dump(), early_stopping=False)
    return on_log_price(make_pipeline(ranks_and_shape(), boosting))
