"""The transformers that models share, and what is assumed of a stone that was not measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from diamonds.schema import FEATURES, GRADES, MEASUREMENTS

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator
    from sklearn.compose import ColumnTransformer, TransformedTargetRegressor

#: The measurements that a tree model sees, beside the grades and `shape`.
NUMBERS = ("carat", "depth", "table", "x", "y", "z")
#: The features that each column of `shape` is made of.
SHAPE_IS_MADE_OF = {
    "volume": ("x", "y", "z"),
    "density": ("carat", "x", "y", "z"),
    "diameter": ("x", "y"),
    "elongation": ("x", "y"),
    "depth_gap": ("depth", "x", "y", "z"),
}


def one_hot_with(numbers: Sequence[str]) -> ColumnTransformer:
    """A transformer of stones to the given numbers and one column a grade, each factor's worst left out."""
    from sklearn.compose import make_column_transformer
    from sklearn.preprocessing import OneHotEncoder

    encoder = OneHotEncoder(categories=_grade_lists(), drop="first", sparse_output=False)
    return make_column_transformer((encoder, list(GRADES)), ("passthrough", list(numbers)))


def ranks_and_shape() -> ColumnTransformer:
    """A transformer of stones to 14 columns: grades as ranks (0 is the worst), measurements, and `shape`."""
    from sklearn.compose import make_column_transformer
    from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder

    return make_column_transformer(
        (OrdinalEncoder(categories=_grade_lists()), list(GRADES)),
        ("passthrough", list(NUMBERS)),
        (FunctionTransformer(shape), ["carat", "depth", "x", "y", "z"]),
    )


def one_hot_shares(numbers: Sequence[str]) -> NDArray[np.float64]:
    """Which feature each column of `one_hot_with` belongs to, as `ranks_and_shape_shares` says it."""
    grades = [(field,) for field, grades in GRADES.items() for _ in grades[1:]]
    return _shares([*grades, *((number,) for number in numbers)])


def ranks_and_shape_shares() -> NDArray[np.float64]:
    """How the columns of `ranks_and_shape` are divided among the features they are made of, equally.

    Returns:
        A row for each of the 14 columns and a column for each of `FEATURES`; a row adds up to 1.
    """
    return _shares([*((name,) for name in (*GRADES, *NUMBERS)), *SHAPE_IS_MADE_OF.values()])


def _shares(origins: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    return np.array([[(feature in origin) / len(origin) for feature in FEATURES] for origin in origins])


def on_log_price(estimator: BaseEstimator) -> TransformedTargetRegressor:
    """The estimator, fitted to the logarithm of the price and answering in dollars."""
    from sklearn.compose import TransformedTargetRegressor

    return TransformedTargetRegressor(regressor=estimator, func=np.log, inverse_func=np.exp, check_inverse=False)


def on_plain_price(estimator: BaseEstimator) -> TransformedTargetRegressor:
    """The estimator, fitted to the price itself."""
    from sklearn.compose import TransformedTargetRegressor

    return TransformedTargetRegressor(regressor=estimator)


def last_step(estimator: Any, kind: type) -> Any:  # noqa: ANN401 - scikit-learn ships no types
    """The fitted last step of a pipeline on a transformed price; None if that is not what it is, or of another kind.

    A pricer that another version of the project saved may hold another estimator under the same name.
    """
    steps = getattr(getattr(estimator, "regressor_", None), "steps", None)
    return steps[-1][1] if steps and isinstance(steps[-1][1], kind) else None


def shape(stones: pd.DataFrame) -> pd.DataFrame:
    """How a stone is built.

    Five columns: box volume in mm³, carats per mm³, mean diameter in mm, length to width, and by how many percent the
    depth that x, y and z give exceeds the stated one. A weight that its box does not explain tells of the cut more
    than the grade does.
    """
    volume = stones["x"] * stones["y"] * stones["z"]
    diameter = (stones["x"] + stones["y"]) / 2
    return pd.DataFrame(
        {
            "volume": volume,
            "density": stones["carat"] / volume,
            "diameter": diameter,
            "elongation": stones["x"] / stones["y"],
            "depth_gap": 100 * stones["z"] / diameter - stones["depth"],
        }
    )


@dataclass(frozen=True)
class Proportions:
    """What stones of each cut usually look like, to estimate the measurements that a caller left out.

    Attributes:
        by_cut: For each cut the medians of depth (%), table (%) and density (carats per mm³ of x·y·z).
    """

    by_cut: dict[str, dict[str, float]]

    @classmethod
    def of(cls, stones: pd.DataFrame) -> Self:
        """The proportions of these stones; a cut that is not among them gets those of all."""
        density = stones["carat"] / (stones["x"] * stones["y"] * stones["z"])
        known = stones[["cut", "depth", "table"]].assign(density=density)
        overall = known.drop(columns="cut").median()
        medians = known.groupby("cut").median().reindex(GRADES["cut"]).fillna(overall)
        names = ["depth", "table", "density"]
        rows = medians[names].to_numpy(dtype=float).tolist()
        return cls({cut: dict(zip(names, row, strict=True)) for cut, row in zip(GRADES["cut"], rows, strict=True)})

    @staticmethod
    def guesses(stones: pd.DataFrame) -> pd.Series[bool]:
        """For which stones `complete` takes a size from what is usual: their own measures do not give it."""
        known = stones.notna()
        height = known["z"] | known["depth"]
        width = known["x"] | known["y"] | (known["z"] & known["depth"])
        return ~(height & width)

    def complete(self, stones: pd.DataFrame) -> pd.DataFrame:
        """The stones with each missing measurement (NaN) estimated from the rest.

        Known sizes give the missing ones: depth is 200 z / (x + y) by definition, and weight is density times
        x·y·z. Only then do the medians of the cut step in.
        """
        if not stones[list(MEASUREMENTS)].isna().to_numpy().any():
            return stones
        usual = pd.DataFrame.from_dict(self.by_cut, orient="index").loc[stones["cut"]]
        usual = usual.set_axis(stones.index)
        x = stones["x"].fillna(stones["y"])
        y = stones["y"].fillna(stones["x"])
        depth = stones["depth"].fillna(200 * stones["z"] / (x + y))
        from_height = np.sqrt(stones["carat"] / (usual["density"] * stones["z"]))
        given_depth = stones["depth"].fillna(usual["depth"])
        from_weight = np.cbrt(100 * stones["carat"] / (usual["density"] * given_depth))
        diameter = (100 * stones["z"] / stones["depth"]).fillna(from_height).fillna(from_weight)
        x, y = x.fillna(diameter), y.fillna(diameter)
        depth = depth.fillna(200 * stones["z"] / (x + y)).fillna(usual["depth"])
        return stones.assign(
            depth=depth,
            table=stones["table"].fillna(usual["table"]),
            x=x,
            y=y,
            z=stones["z"].fillna(depth / 100 * (x + y) / 2),
        )


def only_four_cs(stones: pd.DataFrame) -> pd.DataFrame:
    """The stones as somebody describes them who has measured nothing: weight and grades, all else NaN."""
    return stones.assign(**dict.fromkeys(MEASUREMENTS, np.nan))


def _grade_lists() -> list[list[str]]:
    return [list(grades) for grades in GRADES.values()]
