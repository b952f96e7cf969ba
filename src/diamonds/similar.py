"""The training stones that are most like a stone: same cut, color and clarity, nearest weight."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from diamonds.schema import COLUMNS, GRADES

#: Differences of weight are compared in this many decimals of a carat, so that 0.31 - 0.30 equals 0.32 - 0.31.
DECIMALS = 6


class SimilarStones:
    """An index of stones, built once: each group of equal grades sorted by weight and found by bisection.

    A look-up costs the logarithm of the group's number of different weights, and the stones it returns. Stones
    equally near come in a fixed order: the lighter first, then by depth, table, x, y, z and price.
    """

    def __init__(self, stones: pd.DataFrame) -> None:
        """Build the index from stones with the columns of `schema.COLUMNS`."""
        order = [*GRADES, "carat", "depth", "table", "x", "y", "z", "price"]
        ordered = stones[list(COLUMNS)].sort_values(order, ignore_index=True)
        self._numbers = {column: ordered[column].to_numpy(dtype=float) for column in COLUMNS if column not in GRADES}
        sizes = ordered.groupby(list(GRADES), sort=True).size()
        ends = np.cumsum(sizes.to_numpy())
        self._groups = {
            grades: self._weights(int(end - size), int(end))
            for (grades, size), end in zip(sizes.items(), ends, strict=True)
        }

    def nearest(self, carat: float, cut: str, color: str, clarity: str, n: int) -> list[dict[str, Any]]:
        """At most n stones with exactly these grades, the nearest weight first.

        Each is a record of `schema.COLUMNS` and `carat_difference`, in carats, never negative.
        """
        group = self._groups.get((cut, color, clarity))
        if group is None:
            return []
        found: list[int] = []
        differences: list[float] = []
        for difference, rows in _by_distance(carat, *group):
            taken = rows[: n - len(found)]
            found.extend(taken)
            differences.extend([difference] * len(taken))
            if len(found) == n:
                break
        columns = {column: numbers[found].tolist() for column, numbers in self._numbers.items()}
        grades = {"cut": cut, "color": color, "clarity": clarity}
        return [
            {column: grades[column] if column in grades else columns[column][place] for column in COLUMNS}
            | {"carat_difference": difference}
            for place, difference in enumerate(differences)
        ]

    def _weights(self, start: int, end: int) -> tuple[list[float], list[int]]:
        """The different weights of a group in rising order, and where each one's rows start, and the last end."""
        carats = self._numbers["carat"][start:end]
        weights, firsts = np.unique(carats, return_index=True)
        return weights.tolist(), [*(firsts + start).tolist(), end]


def _by_distance(carat: float, weights: list[float], starts: list[int]) -> Iterator[tuple[float, range]]:
    """Each weight's distance from `carat` and its rows, the nearest first, the lighter first where equal."""
    above = bisect_left(weights, carat)
    below = above - 1
    while below >= 0 or above < len(weights):
        under = round(carat - weights[below], DECIMALS) if below >= 0 else float("inf")
        over = round(weights[above] - carat, DECIMALS) if above < len(weights) else float("inf")
        if under <= over:
            yield under, range(starts[below], starts[below + 1])
            below -= 1
        else:
            yield over, range(starts[above], starts[above + 1])
            above += 1
