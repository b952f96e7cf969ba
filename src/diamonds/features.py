"""The transformers that models share, and what is assumed of a stone that was not measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

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
#: The least number is the worst grade's: its place in `GRADES`.
RANKS = {field: {grade: float(rank) for rank, grade in enumerate(grades)} for field, grades in GRADES.items()}
#: A feature of this size does not fit into the float32 of trees.
TOO_LARGE = 1e38

#: How much of a stone's size is guessed: nothing; some of it, from the rest; all of it, from the weight.
MEASURED, PARTLY, UNKNOWN = 0, 1, 2
#: What is known of each cut, as it comes in a row.
_USUAL = ("depth", "table", "density")

Number = TypeVar("Number", float, "pd.Series[float]", NDArray[np.float64])


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
    columns = _shape(*(stones[column] for column in ("carat", "depth", "x", "y", "z")))
    return pd.DataFrame(dict(zip(SHAPE_IS_MADE_OF, columns, strict=True)))


def _shape(carat: Number, depth: Number, x: Number, y: Number, z: Number) -> tuple[Number, ...]:
    volume, diameter = x * y * z, (x + y) / 2
    return volume, carat / volume, diameter, x / y, 100 * z / diameter - depth


def is_ranks_and_shape(transformer: Any) -> bool:  # noqa: ANN401 - scikit-learn ships no types
    """Whether the transformer computes what one of `ranks_and_shape` does."""
    return _described(transformer) == _described(ranks_and_shape())


def is_one_hot_with(transformer: Any, numbers: Sequence[str]) -> bool:  # noqa: ANN401 - scikit-learn ships no types
    """Whether the transformer computes what one of `one_hot_with` these numbers does."""
    return _described(transformer) == _described(one_hot_with(numbers))


def _described(transformer: Any) -> list[str]:  # noqa: ANN401 - scikit-learn ships no types
    """All that was chosen about a transformer of columns."""
    return [
        f"{type(part).__name__} {part if isinstance(part, str) else part.get_params()} {list(columns)}"
        for _, part, columns in getattr(transformer, "transformers", [])
    ]


def ranks_and_shape_of(stone: Mapping[str, Any]) -> list[float]:
    """What `ranks_and_shape` makes of one completely described stone, to the last bit.

    Raises:
        ArithmeticError: Its sizes are so impossible that a column is endless or does not fit into a float32.
    """
    carat, depth, x, y, z = stone["carat"], stone["depth"], stone["x"], stone["y"], stone["z"]
    ranks = (RANKS["cut"][stone["cut"]], RANKS["color"][stone["color"]], RANKS["clarity"][stone["clarity"]])
    row = [*ranks, carat, depth, stone["table"], x, y, z, *_shape(carat, depth, x, y, z)]
    if not -TOO_LARGE < sum(row) < TOO_LARGE:
        raise OverflowError(f"a column of this stone is beyond {TOO_LARGE}: {row}")
    return row


def ranks_and_shape_matrix(stones: pd.DataFrame) -> NDArray[np.float32]:
    """What `ranks_and_shape` makes of completely described stones, as float32 (stones by 14)."""
    numbers = {name: stones[name].to_numpy(dtype=float) for name in NUMBERS}
    with np.errstate(all="ignore"):  # impossible sizes make endless columns
        made = _shape(*(numbers[name] for name in ("carat", "depth", "x", "y", "z")))
        matrix = np.empty((len(stones), len(GRADES) + len(numbers) + len(made)), np.float32)
        for place, column in enumerate([*(ranks_in(stones, field) for field in GRADES), *numbers.values(), *made]):
            matrix[:, place] = column
    return matrix


def ranks_in(stones: pd.DataFrame, field: str) -> NDArray[np.float64]:
    """The rank of each stone's grade in this field."""
    return np.array([RANKS[field][grade] for grade in stones[field].tolist()], dtype=float)


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
        rows = medians[list(_USUAL)].to_numpy(dtype=float).tolist()
        return cls({cut: dict(zip(_USUAL, row, strict=True)) for cut, row in zip(GRADES["cut"], rows, strict=True)})

    @staticmethod
    def guesses(stones: pd.DataFrame) -> pd.Series[int]:
        """How much of each stone's size `complete` has to guess: `MEASURED`, `PARTLY` or `UNKNOWN`."""
        known = [pd.notna(stones[size].to_numpy()) for size in ("depth", "x", "y", "z")]
        return pd.Series(_guessed(*known), index=stones.index)

    @staticmethod
    def guesses_one(stone: Mapping[str, Any]) -> int:
        """How much of this stone's size `complete_one` has to guess."""
        get = stone.get
        known = get("depth") is not None, get("x") is not None, get("y") is not None, get("z") is not None
        return int(_guessed(*known))

    def complete(self, stones: pd.DataFrame) -> pd.DataFrame:
        """The stones with each missing measurement (NaN) estimated from the rest.

        Known sizes give the missing ones: depth is 200 z / (x + y) by definition, and weight is density times
        x·y·z. Only then do the medians of the cut step in.
        """
        measured = np.column_stack([stones[name].to_numpy(dtype=float) for name in MEASUREMENTS])
        missing = np.isnan(measured)
        if not missing.any():
            return stones
        carat = stones["carat"].to_numpy(dtype=float)
        by_rank = np.array([list(self._usual[cut]) for cut in GRADES["cut"]])
        usual = by_rank[ranks_in(stones, "cut").astype(int)]
        patterns = missing @ (1 << np.arange(len(MEASUREMENTS)))
        for pattern in set(patterns.tolist()) - {0}:
            rows = np.flatnonzero(patterns == pattern)
            given = [
                column if known else None for column, known in zip(measured[rows].T, ~missing[rows[0]], strict=True)
            ]
            with np.errstate(all="ignore"):  # impossible sizes make endless ones
                measured[rows] = np.column_stack(_complete(carat[rows], given, tuple(usual[rows].T)))
        return stones.assign(**dict(zip(MEASUREMENTS, measured.T, strict=True)))

    def complete_one(self, stone: Mapping[str, Any]) -> dict[str, Any]:
        """One stone with each missing measurement (None or absent) estimated as `complete` does, to the last bit.

        Raises:
            ArithmeticError: Its sizes are so impossible that one of the others is endless.
        """
        get = stone.get
        given = (get("depth"), get("table"), get("x"), get("y"), get("z"))
        depth, table, x, y, z = _complete(stone["carat"], given, self._usual[stone["cut"]])
        return {**stone, "depth": depth, "table": table, "x": x, "y": y, "z": z}

    @cached_property
    def _usual(self) -> dict[str, tuple[float, ...]]:
        return {cut: tuple(usual[name] for name in _USUAL) for cut, usual in self.by_cut.items()}


def _complete(carat: Any, given: Sequence[Any], usual: Sequence[Any]) -> tuple[Any, ...]:  # noqa: ANN401 - see below
    """The measurements of one stone (floats) or of many that miss the same (arrays): x or y stands for the other.

    The first of these ways that what is known allows gives them: the width from height and depth, from height and
    weight, from weight; the depth from height and width, or the usual one; the height from depth and width.

    Args:
        carat: The weight.
        given: The measurements in the order of `MEASUREMENTS`, as is what comes out; None is missing.
        usual: As `_USUAL` names them.
    """
    depth, table, x, y, z = given
    x = y if x is None else x
    y = x if y is None else y
    if x is None:
        x = y = _width(carat, depth, z, usual)
    if depth is None:
        depth = usual[0] if z is None else 200 * z / (x + y)
    if z is None:
        z = depth / 100 * (x + y) / 2
    return depth, usual[1] if table is None else table, x, y, z


def _width(carat: Any, depth: Any, z: Any, usual: Sequence[Any]) -> Any:  # noqa: ANN401 - as in `_complete`
    if z is None:
        width = np.cbrt(100 * carat / (usual[2] * (usual[0] if depth is None else depth)))
    elif depth is None:
        width = np.sqrt(carat / (usual[2] * z))
    else:
        return 100 * z / depth
    return float(width) if isinstance(width, float) else width  # NumPy's own floats are slow, and warn


def _guessed(depth: Any, x: Any, y: Any, z: Any) -> Any:  # noqa: ANN401 - of one stone or of many: which are known
    """`MEASURED` is a stone whose length and width are known, and its height or the depth that gives it."""
    anything, everything = depth | x | y | z, x & y & (z | depth)
    return UNKNOWN - 1 * anything - 1 * everything


def without_length(stones: pd.DataFrame) -> pd.DataFrame:
    """The stones as somebody describes them who left out the length: of all single sizes the one that tells most."""
    return stones.assign(x=np.nan)


def only_four_cs(stones: pd.DataFrame) -> pd.DataFrame:
    """The stones as somebody describes them who has measured nothing: weight and grades, all else NaN."""
    return stones.assign(**dict.fromkeys(MEASUREMENTS, np.nan))


def _grade_lists() -> list[list[str]]:
    return [list(grades) for grades in GRADES.values()]
