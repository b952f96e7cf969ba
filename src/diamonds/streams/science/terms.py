"""What a model of degree 2 multiplies its coefficients with: features on a scale of their own, squares and products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: A value farther from the centre, in standard deviations, counts as if it were so far: nothing overflows.
FARTHEST = 1000.0
#: A column varies where its standard deviation is more than this share of its mean: less is rounding.
ROUNDING = 1e-12
#: Centres are no larger, and scales no larger or smaller than its inverse: the squares of their squares can be counted.
LARGEST = 1e60


class Terms:
    """Standardises features by frozen centres and scales, and makes 1, the features, their squares and products.

    The map is affine, so that coefficients can be said exactly on the features' own scale.
    """

    def __init__(self, centres: Sequence[float], scales: Sequence[float]) -> None:
        """Each feature's centre and scale, in its units."""
        self.centres, self.scales = list(centres), list(scales)
        self._frames = list(zip(self.centres, self.scales, strict=True))
        self._pairs = list(combinations(range(len(self._frames)), 2))

    @classmethod
    def of(cls, rows: Sequence[Sequence[float]]) -> Self:
        """By the mean and standard deviation of these rows.

        A column that does not vary is scaled by the size of its value, or by 1 where that is 0. One row says nothing of
        scales: until there is another, all that is not absurd counts as the centre.
        """
        frames = [_frame(column) for column in zip(*rows, strict=True)]
        return cls([centre for centre, _ in frames], [scale for _, scale in frames])

    def __len__(self) -> int:
        """How many terms there are."""
        return 1 + 2 * len(self._frames) + len(self._pairs)

    def standardised(self, values: Sequence[float]) -> list[float]:
        """The features in standard deviations from their centres."""
        return [
            min(max((value - centre) / scale, -FARTHEST), FARTHEST)
            for value, (centre, scale) in zip(values, self._frames, strict=True)
        ]

    def expand(self, values: Sequence[float]) -> Array:
        """All terms of one row: 1, the features, their squares, their products."""
        features = self.standardised(values)
        return np.array(
            [1.0, *features, *[each * each for each in features], *[features[i] * features[j] for i, j in self._pairs]]
        )

    def expand_all(self, rows: Array) -> Array:
        """All terms of many rows, of shape (rows, features), as a matrix of shape (rows, terms)."""
        with np.errstate(over="ignore"):
            features = np.clip((rows - self.centres) / self.scales, -FARTHEST, FARTHEST)
        products = [features[:, i] * features[:, j] for i, j in self._pairs]
        return np.column_stack([np.ones(len(rows)), features, features**2, *products])

    def to_raw(self) -> Array:
        """The matrix that takes coefficients of these terms to those of the features' own, of shape (terms, terms)."""
        size = len(self._frames)
        matrix = np.zeros((len(self), len(self)))
        units = [np.array([-centre / scale, 1 / scale]) for centre, scale in self._frames]  # of 1, and of the feature
        matrix[0, 0] = 1
        for place, (constant, slope) in enumerate(units):
            line, square = 1 + place, 1 + size + place
            matrix[[0, line], line] = constant, slope
            matrix[[0, line, square], square] = constant**2, 2 * constant * slope, slope**2
        for place, (i, j) in enumerate(self._pairs, 1 + 2 * size):
            (first, slope), (second, other) = units[i], units[j]
            matrix[[0, 1 + i, 1 + j, place], place] = first * second, slope * second, first * other, slope * other
        return matrix

    def dump(self) -> dict[str, Any]:
        """The centres and scales."""
        return {"centres": self.centres, "scales": self.scales}


def names(features: Sequence[str]) -> list[str]:
    """What the terms are called, in their order.

    >>> names(["carat", "depth"])
    ['intercept', 'carat', 'depth', 'carat²', 'depth²', 'carat * depth']
    """
    squares = [f"{feature}²" for feature in features]
    return ["intercept", *features, *squares, *(f"{one} * {other}" for one, other in combinations(features, 2))]


def _frame(column: Sequence[float]) -> tuple[float, float]:
    """The mean and standard deviation; values as large as a float can be do not overflow."""
    rows = len(column)
    if rows == 1:
        return min(max(column[0], -LARGEST), LARGEST), LARGEST
    mean = math.fsum(value / rows for value in column)
    deviation = math.hypot(*(value / math.sqrt(rows) - mean / math.sqrt(rows) for value in column))
    scale = deviation if deviation > abs(mean) * ROUNDING else abs(mean) or 1.0
    return min(max(mean, -LARGEST), LARGEST), min(max(scale, 1 / LARGEST), LARGEST)
