"""Sums over neighbouring rows, in the order of learning: whether what a fit leaves of one says something of the next.

What a line leaves of two rows differs by the differences of their y and x: for rows of one group, three sums of
products of these are enough. For neighbours of different groups, whose lines differ, the distance of x to the first row
is needed as well. Sums are as exact as if they were taken with twice the digits (Ogita, Rump and Oishi, "Accurate sum
and dot product", SIAM Journal on Scientific Computing 2005).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diamonds.streams.science.double import SPLITTER, Double
from diamonds.streams.science.inference import Regression
from diamonds.streams.science.regressions import Regressions

#: One row: x, y, and the distance of x to the first row.
_Row = tuple[float, float, float]


class Pairs:
    """Sums of e², e·d and d² over pairs of rows, where e and d are the differences of x and y; two halves each."""

    __slots__ = ("halves",)

    def __init__(self) -> None:
        self.halves = [0.0] * 6

    def add(self, e: float, d: float) -> None:
        """Add a pair; written out, for every row of a stream comes by here."""
        halves = self.halves
        scaled = SPLITTER * e
        e_a = scaled - (scaled - e)
        e_b = e - e_a
        scaled = SPLITTER * d
        d_a = scaled - (scaled - d)
        d_b = d - d_a
        product = e * e
        high = halves[0]
        halves[0] = total = high + product
        part = total - high
        halves[1] += (high - (total - part)) + (product - part) + (((e_a * e_a - product) + 2 * e_a * e_b) + e_b * e_b)
        product = e * d
        high = halves[2]
        halves[2] = total = high + product
        part = total - high
        halves[3] += (
            (high - (total - part)) + (product - part) + (((e_a * d_a - product) + e_a * d_b + e_b * d_a) + e_b * d_b)
        )
        product = d * d
        high = halves[4]
        halves[4] = total = high + product
        part = total - high
        halves[5] += (high - (total - part)) + (product - part) + (((d_a * d_a - product) + 2 * d_a * d_b) + d_b * d_b)

    def left_by(self, slope: Double) -> Double:
        """The sum of squares of what a line of this slope leaves of the differences."""
        ee, ed, dd = (_sum(self.halves, place) for place in (0, 2, 4))
        return dd - slope * ed * 2.0 + slope * slope * ee


class Across:
    """The same over pairs of different groups, inside minus outside, and with a: how far x inside is from the first's.

    Attributes:
        pairs: The sums of e², e·d and d².
        with_a: Those of a², a·e, a·d, a, e and d, two halves each.
        rows: How many pairs there were.
    """

    def __init__(self) -> None:
        self.pairs, self.with_a, self.rows = Pairs(), [0.0] * 12, 0

    def add(self, e: float, d: float, a: float) -> None:
        """Add a pair."""
        self.pairs.add(e, d)
        self.rows += 1
        halves = self.with_a
        scaled = SPLITTER * a
        a_a = scaled - (scaled - a)
        a_b = a - a_a
        for place, factor in ((0, a), (2, e), (4, d)):
            product = a * factor
            scaled = SPLITTER * factor
            of_a = scaled - (scaled - factor)
            of_b = factor - of_a
            high = halves[place]
            halves[place] = total = high + product
            part = total - high
            halves[place + 1] += (
                (high - (total - part))
                + (product - part)
                + (((a_a * of_a - product) + a_a * of_b + a_b * of_a) + a_b * of_b)
            )
            high = halves[place + 6]
            halves[place + 6] = total = high + factor
            part = total - high
            halves[place + 7] += (high - (total - part)) + (factor - part)

    def left_by(self, outside: Double, inside: Double, apart: Double) -> Double:
        """The sum of squares of the difference of what two lines leave.

        Args:
            outside: The slope of the line outside.
            inside: That of the line inside.
            apart: How far above the line outside the one inside is, at the first row's x.
        """
        aa, ae, ad, a, e, d = (_sum(self.with_a, place) for place in range(0, 12, 2))
        tilt = inside - outside
        of_tilt = tilt * (tilt * aa - (ad - outside * ae) * 2.0 + apart * a * 2.0)
        return self.pairs.left_by(outside) + of_tilt - apart * ((d - outside * e) * 2.0 - apart * float(self.rows))


class Lags:
    """Of each group, the pairs of neighbours and those with others between them; and the neighbours across groups."""

    def __init__(self) -> None:
        """No row came yet."""
        self._newest: list[_Row | None] = [None, None]  # of those outside, and inside
        self._group: bool | None = None  # of the newest of all
        self.next, self.skipped, self.across = (Pairs(), Pairs()), (Pairs(), Pairs()), Across()

    def add(self, x: float, y: float, away: float, group: bool) -> None:  # noqa: FBT001 - it is the group
        """Add a row; `away` is how far x is from the first row."""
        own, other = self._newest[group], self._newest[not group]
        if self._group == group and own is not None:
            self.next[group].add(x - own[0], y - own[1])
        else:
            if own is not None:
                self.skipped[group].add(x - own[0], y - own[1])
            if other is not None:
                e, d = x - other[0], y - other[1]
                self.across.add(*((e, d, away) if group else (-e, -d, other[2])))
        self._newest[group], self._group = (x, y, away), group

    def durbin_watson(self, fitted: Regressions) -> dict[str, float | None]:
        """How alike neighbours' residuals are, by regression: 2 where not at all, towards 0 the more they are.

        Neighbours are rows that came one after the other; in a regression of one group, of those in it.

        Source: Durbin and Watson, "Testing for serial correlation in least squares regression", Biometrika 1950.
        """
        return {each.name: float(self._squares(fitted, each) / each.rest) if each.is_told else None for each in fitted}

    def _squares(self, fitted: Regressions, regression: Regression) -> Double:
        """The sum of squares of the differences of neighbours' residuals."""
        if len(regression.groups) == 1:
            [slope] = regression.slopes
            if regression.groups[0] is fitted.everyone:
                return sum((pairs.left_by(slope) for pairs in (*self.next, self.across.pairs)), Double(0.0))
            group = regression.groups[0] is fitted.groups[1]
            return self.next[group].left_by(slope) + self.skipped[group].left_by(slope)
        (outside, inside), (slope, slope_inside) = regression.groups, regression.slopes
        apart = inside.at_first(slope_inside) - outside.at_first(slope)
        within = self.next[False].left_by(slope) + self.next[True].left_by(slope_inside)
        return within + self.across.left_by(slope, slope_inside, apart)

    def dump(self) -> dict[str, Any]:
        """The sums, and the newest rows."""
        return {
            "newest": [None if row is None else list(row) for row in self._newest],
            "group": self._group,
            "pairs": [list(pairs.halves) for pairs in self._pairs],
            "across": {"with_a": list(self.across.with_a), "rows": self.across.rows},
        }

    def load(self, document: Mapping[str, Any]) -> None:
        """Hold what `dump` gave."""
        self._newest = [None if row is None else tuple(row) for row in document["newest"]]
        self._group = document["group"]
        for pairs, halves in zip(self._pairs, document["pairs"], strict=True):
            pairs.halves = list(halves)
        self.across.with_a, self.across.rows = list(document["across"]["with_a"]), document["across"]["rows"]

    @property
    def _pairs(self) -> tuple[Pairs, ...]:
        return (*self.next, *self.skipped, self.across.pairs)


def _sum(halves: list[float], place: int) -> Double:
    return Double(halves[place]) + halves[place + 1]
