"""The training stones that are most like a stone: same cut, color and clarity, nearest weight."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, NamedTuple

from diamonds.schema import GRADES
from diamonds.stones import Grades, SortedStones

#: Differences of weight are compared in this many decimals of a carat, so that 0.31 - 0.30 equals 0.32 - 0.31.
DECIMALS = 6


class SimilarStones:
    """An index of sorted stones: those of equal grades lie together, by weight, and are found by bisection.

    A look-up costs the logarithm of the group's size, and the stones it returns; the stones are used where they lie.
    Stones equally near come in a fixed order: the lighter first, then by depth, table, x, y, z and price.
    """

    def __init__(self, stones: SortedStones) -> None:
        """Find stones among these."""
        self._groups = {grades: _Group(*span, _in_json(grades)) for grades, span in stones.spans().items()}
        self._numbers, self._weights = stones.numbers, stones.carats.data

    def nearest(self, carat: float, cut: str, color: str, clarity: str, n: int) -> list[dict[str, Any]]:
        """At most n stones with exactly these grades, the nearest weight first.

        Each is a record of `schema.COLUMNS` and `carat_difference`, in carats, never negative.
        """
        group = self._groups.get((cut, color, clarity))
        if group is None or not n:
            return []
        return [
            {
                "carat": weight,
                "cut": cut,
                "color": color,
                "clarity": clarity,
                "depth": depth,
                "table": table,
                "price": price,
                "x": x,
                "y": y,
                "z": z,
                "carat_difference": difference,
            }
            for difference, weight, (depth, table, price, x, y, z) in self._found(group, carat, n)
        ]

    def nearest_json(self, carat: float, cut: str, color: str, clarity: str, n: int) -> bytes:
        """The records of `nearest` as `json.dumps` writes them, in a fraction of its time."""
        group = self._groups.get((cut, color, clarity))
        if group is None or not n:
            return b"[]"
        records = [
            f'{{"carat": {weight!r}, {group.grades}, "depth": {depth!r}, "table": {table!r}, '
            f'"price": {price!r}, "x": {x!r}, "y": {y!r}, "z": {z!r}, '
            f'"carat_difference": {difference!r}}}'
            for difference, weight, (depth, table, price, x, y, z) in self._found(group, carat, n)
        ]
        return f"[{', '.join(records)}]".encode()

    def _found(self, group: _Group, carat: float, n: int) -> Iterator[tuple[float, float, list[float]]]:
        """Difference, weight and the other numbers of the nearest stones of a group, the nearest first."""
        carat = float(carat)  # of NumPy's it would be written with its type
        first, last = self._window(group, carat, n)
        weights, numbers = self._weights[first:last].tolist(), self._numbers[first:last].tolist()
        differences = [round(abs(weight - carat), DECIMALS) for weight in weights]
        farthest = max(differences[0], differences[-1])
        if first > group.start and round(carat - self._weights[first - 1], DECIMALS) == farthest:
            tied = self._tied_below(group.start, first, carat, farthest)
            weights = self._weights[tied : min(tied + n, first)].tolist() + weights
            numbers = self._numbers[tied : min(tied + n, first)].tolist() + numbers
            differences = [farthest] * (len(weights) - len(differences)) + differences
        nearest_first = sorted(range(len(weights)), key=differences.__getitem__)[:n]
        return ((differences[place], weights[place], numbers[place]) for place in nearest_first)

    def _window(self, group: _Group, carat: float, n: int) -> tuple[int, int]:
        """The first and the end of the n rows whose weights are nearest, before ties are looked at."""
        weights, (start, end, _) = self._weights, group
        if end - start <= n:
            return start, end
        above = bisect_left(weights, carat, start, end)
        low, high = max(start, above - n), min(above, end - n)
        while low < high:
            middle = (low + high) // 2
            if carat - weights[middle] > weights[middle + n] - carat:
                low = middle + 1
            else:
                high = middle
        return low, low + n

    def _tied_below(self, start: int, end: int, carat: float, difference: float) -> int:
        """The first row from `start` to `end` that is no farther below `carat` than `difference`."""
        return bisect_left(self._weights, -difference, start, end, key=lambda weight: -round(carat - weight, DECIMALS))


class _Group(NamedTuple):
    """Where the stones of equal grades lie, and these grades as a part of a JSON object."""

    start: int
    end: int
    grades: str


def _in_json(grades: Grades) -> str:
    return json.dumps(dict(zip(GRADES, grades, strict=True)))[1:-1]
