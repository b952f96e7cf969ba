"""Linear regression of log price on carat, length, and cut, color and clarity one by one."""

from collections.abc import Iterator, Mapping
from functools import partial, reduce
from itertools import product
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, Field, FiniteFloat
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from diamonds.blocks import Blocks
from diamonds.effects import Array, Contributions, Explainer, frame
from diamonds.features import (
    NUMBERS,
    is_one_hot_with,
    last_step,
    on_log_price,
    one_hot_shares,
    one_hot_with,
    ranks_in,
)
from diamonds.models import Quick
from diamonds.schema import FEATURES, GRADES
from diamonds.stones import SortedStones

#: Beyond it no price can be written.
MOST_LOG = 700.0


class Params(BaseModel, extra="forbid"):
    """The measurements used beside the three grades."""

    numbers: tuple[Literal[NUMBERS], ...] = Field(default=("carat", "x"), min_length=1)  # type: ignore[valid-type]


class Fitted(BaseModel, extra="forbid"):
    """What the regression has learned.

    Attributes:
        numbers: As in `Params`.
        columns: Those of the stones it was fitted to, in their order.
        coefficients: By how much the log of the price rises with each column of the one-hot transformer.
        intercept: The log of the price, in dollars, where all of those columns are 0.
    """

    numbers: tuple[str, ...]
    columns: tuple[str, ...]
    coefficients: dict[str, FiniteFloat]
    intercept: FiniteFloat


def build(params: Params) -> TransformedTargetRegressor:
    """An ordinary least squares regression; every grade acts as a factor on the price."""
    return on_log_price(make_pipeline(one_hot_with(params.numbers), LinearRegression()))


def fit_blocks(params: Params, train: Blocks) -> TransformedTargetRegressor:
    """The same regression over all blocks: the triangles of their QR decompositions, merged, hold all that it needs.

    Their squares are the sums of the normal equations; but as roots they keep twice the digits. Source: Demmel,
    Grigori, Hoemmen and Langou, "Communication-optimal parallel and sequential QR and LU factorizations", SIAM Journal
    on Scientific Computing 2012.
    """
    triangle = reduce(_merged, train.each(partial(_triangle, params.numbers)))
    means = triangle[0, 1:] / triangle[0, 0]
    centred = triangle[1:, 1:]  # below the column of ones lies what is left when each column's mean is taken off
    tolerance = len(train) * np.finfo(float).eps
    coefficients = np.linalg.lstsq(centred[:, :-1], centred[:, -1], rcond=tolerance)[0]
    names = one_hot_with(params.numbers).fit(_any_stone(FEATURES)).get_feature_names_out()
    fitted = Fitted(
        numbers=params.numbers,
        columns=FEATURES,
        coefficients=dict(zip(names, coefficients.tolist(), strict=True)),
        intercept=float(means[-1] - means[:-1] @ coefficients),
    )
    return from_json(fitted.model_dump())


def _triangle(numbers: tuple[str, ...], stones: pd.DataFrame) -> Array:
    """The R of a block's QR decomposition: of ones, its columns, and the log of its prices."""
    columns = one_hot_with(numbers).fit_transform(stones[list(FEATURES)])
    block = np.column_stack([np.ones(len(stones)), columns, np.log(stones["price"].to_numpy(dtype=float))])
    return np.asarray(np.linalg.qr(block, mode="r"))


def _merged(triangle: Array, other: Array) -> Array:
    return np.asarray(np.linalg.qr(np.vstack([triangle, other]), mode="r"))


def to_json(estimator: TransformedTargetRegressor) -> dict[str, Any]:
    """What the fitted estimator has learned, as `Fitted` describes it."""
    one_hot, regression = estimator.regressor_
    return Fitted(
        numbers=one_hot.named_transformers_["passthrough"].feature_names_in_.tolist(),
        columns=one_hot.feature_names_in_.tolist(),
        coefficients=dict(zip(one_hot.get_feature_names_out(), regression.coef_, strict=True)),
        intercept=regression.intercept_,
    ).model_dump(mode="json")


def from_json(document: Any) -> TransformedTargetRegressor:  # noqa: ANN401 - it comes from a file
    """The fitted estimator that `to_json` described.

    Raises:
        ValueError: The document does not describe one.
    """
    fitted = Fitted.model_validate(document)
    estimator = build(Params(numbers=fitted.numbers)).fit(_any_stone(fitted.columns), [1.0])
    one_hot, regression = estimator.regressor_
    if list(fitted.coefficients) != list(one_hot.get_feature_names_out()):
        raise ValueError(f"its coefficients are not those of {', '.join(one_hot.get_feature_names_out())}")
    regression.coef_, regression.intercept_ = np.array([*fitted.coefficients.values()]), fitted.intercept
    del regression.rank_, regression.singular_  # of that one stone
    return estimator


def _any_stone(columns: tuple[str, ...]) -> pd.DataFrame:
    """A stone to fit a pipeline to whose transformer learns nothing but the names of columns: its grades are fixed."""
    return pd.DataFrame([{column: GRADES[column][0] if column in GRADES else 1.0 for column in columns}])


def explainer(estimator: Any, training: SortedStones) -> Explainer | None:  # noqa: ANN401 - scikit-learn ships no types
    """Exact effects: what a column adds to the log price beyond what it adds to that of a mean training stone.

    Source: Lundberg and Lee, "A unified approach to interpreting model predictions", NeurIPS 2017, corollary 1.
    """
    regression = last_step(estimator, LinearRegression)
    if regression is None:
        return None
    design = estimator.regressor_[0]
    shares = one_hot_shares(design.transformers[-1][2])
    if len(shares) != len(regression.coef_):
        return None
    mean = sum(design.transform(block).sum(axis=0) for block in training.blocks()) / len(training)
    base = float(regression.intercept_ + mean @ regression.coef_)
    return partial(_contributions, design, mean, base, regression.coef_[:, np.newaxis] * shares)


def _contributions(
    design: ColumnTransformer, mean: Array, base: float, weights: Array, stones: pd.DataFrame
) -> Contributions:
    return Contributions(base, frame((design.transform(stones) - mean) @ weights, stones.index))


def quick(estimator: Any) -> Quick | None:  # noqa: ANN401 - scikit-learn ships no types
    """The coefficients, those of the grades and the intercept added up beforehand for each of the 280 combinations."""
    regression = last_step(estimator, LinearRegression)
    if regression is None or estimator.func is not np.log:
        return None
    design = estimator.regressor_[0]
    numbers = list(design.transformers[-1][2])
    if not is_one_hot_with(design, numbers):
        return None
    of_grades, of_numbers = np.split(regression.coef_, [-len(numbers)])
    sums = _sums(of_grades, float(regression.intercept_))
    weights = list(zip(numbers, of_numbers.tolist(), strict=True))
    by_grades = {grades: float(sums[ranks]) for grades, ranks in _combinations()}
    return Quick(one=partial(_one, by_grades, weights), many=partial(_many, sums, weights))


def _combinations() -> Iterator[tuple[tuple[str, ...], tuple[int, ...]]]:
    """Each combination of grades, and its ranks."""
    ranks = product(*(range(len(grades)) for grades in GRADES.values()))
    return zip(product(*GRADES.values()), ranks, strict=True)


def _sums(coefficients: Array, intercept: float) -> Array:
    """The log of the price by the ranks of cut, color and clarity (5 by 7 by 8), where all numbers are 0."""
    parts = np.split(coefficients, np.cumsum([len(grades) - 1 for grades in GRADES.values()])[:-1])
    cut, color, clarity = (np.concatenate([[0.0], part]) for part in parts)
    sums: Array = intercept + cut[:, np.newaxis, np.newaxis] + color[:, np.newaxis] + clarity
    return sums


def _one(sums: dict[tuple[str, ...], float], weights: list[tuple[str, float]], stone: Mapping[str, Any]) -> float:
    total = sums[stone["cut"], stone["color"], stone["clarity"]]
    for name, weight in weights:
        total += weight * stone[name]
    if not total < MOST_LOG:
        raise OverflowError(f"the logarithm of the price is {total}")
    return float(np.exp(total))


def _many(sums: Array, weights: list[tuple[str, float]], stones: pd.DataFrame) -> Array:
    totals = sums[tuple(ranks_in(stones, field).astype(int) for field in GRADES)]
    for name, weight in weights:
        totals += weight * stones[name].to_numpy(dtype=float)
    prices: Array = np.exp(totals)
    return prices
