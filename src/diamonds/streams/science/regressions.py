"""The regressions of a target on a feature and a boolean group: all rows, by group, and inside the groups."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from diamonds.streams.science.double import Double
from diamonds.streams.science.inference import INTERCEPT, Column, Regression
from diamonds.streams.science.spread import Spread


class Names(NamedTuple):
    """What the three columns are called."""

    target: str
    feature: str
    group: str

    @property
    def both(self) -> str:
        """What the difference between the slopes of the groups is called, as R has it."""
        return f"{self.feature}:{self.group}"


class Regressions:
    """The six regressions of the rows outside and inside the group; each is made when it is asked for."""

    def __init__(self, names: Names, outside: Spread, inside: Spread) -> None:
        self.names = names
        self.groups = outside, inside
        self.everyone = outside + inside

    @cached_property
    def overall(self) -> Regression:
        """On the feature."""
        feature = self.names.feature
        return _line(Regression(f"~ {feature}", "overall", (feature,), (self.everyone,)))

    @cached_property
    def by_group(self) -> Regression:
        """On the group."""
        group = self.names.group
        return _by_group(Regression(f"~ {group}", f"{group} or not", (group,), self.groups), self.everyone)

    @cached_property
    def pooled(self) -> Regression:
        """On both: one slope inside the groups."""
        _, feature, group = self.names
        empty = Regression(f"~ {feature} + {group}", "inside the groups, one slope", (feature, group), self.groups)
        return _pooled(empty, self.everyone)

    @cached_property
    def inside(self) -> Regression:
        """On the feature, in the group."""
        _, feature, group = self.names
        return _line(Regression(f"~ {feature}, {group} only", f"{group} only", (feature,), self.groups[1:]))

    @cached_property
    def outside(self) -> Regression:
        """On the feature, in the others."""
        _, feature, group = self.names
        return _line(Regression(f"~ {feature}, not {group}", f"not {group}", (feature,), self.groups[:1]))

    @cached_property
    def apart(self) -> Regression:
        """On both and their product: a slope for each group."""
        _, feature, group = self.names
        terms = (feature, group, self.names.both)
        empty = Regression(f"~ {feature} * {group}", "inside the groups, two slopes", terms, self.groups)
        return _apart(empty, self.everyone)

    def __iter__(self) -> Iterator[Regression]:
        """All six, in the order of a table."""
        yield from (self.overall, self.by_group, self.pooled, self.inside, self.outside, self.apart)


def _line(empty: Regression) -> Regression:
    [rows], [feature] = empty.groups, empty.terms
    if not rows.xx:
        return empty
    slope, tilt = rows.xy / rows.xx, 1 / rows.xx.high
    columns = (
        Column(INTERCEPT, rows.y - slope * rows.x, ((1 / rows.rows, -rows.x.high * tilt),)),
        Column(feature, slope, ((0.0, tilt),), rows.xx),
    )
    return _fitted(empty, (slope,), columns, rows.yy, rows.yy - slope * rows.xy)


def _by_group(empty: Regression, everyone: Spread) -> Regression:
    outside, inside = empty.groups
    if not outside.rows or not inside.rows:
        return empty
    columns = (
        Column(INTERCEPT, outside.y, ((1 / outside.rows, 0.0), (0.0, 0.0))),
        Column(
            empty.terms[0],
            inside.y - outside.y,
            ((-1 / outside.rows, 0.0), (1 / inside.rows, 0.0)),
            squares_of_group(*empty.groups),
        ),
    )
    return _fitted(empty, (Double(0.0), Double(0.0)), columns, everyone.yy, outside.yy + inside.yy)


def _pooled(empty: Regression, everyone: Spread) -> Regression:
    outside, inside = empty.groups
    within = outside.xx + inside.xx
    if not outside.rows or not inside.rows or not within:
        return empty
    slope, tilt = (outside.xy + inside.xy) / within, 1 / within.high
    apart = inside.x - outside.x
    feature, group = empty.terms
    columns = (
        Column(
            INTERCEPT,
            outside.y - slope * outside.x,
            ((1 / outside.rows, -outside.x.high * tilt), (0.0, -outside.x.high * tilt)),
        ),
        Column(feature, slope, ((0.0, tilt), (0.0, tilt)), everyone.xx),
        Column(
            group,
            inside.y - outside.y - slope * apart,
            ((-1 / outside.rows, -apart.high * tilt), (1 / inside.rows, -apart.high * tilt)),
            squares_of_group(outside, inside),
        ),
    )
    rest = outside.yy + inside.yy - slope * (outside.xy + inside.xy)
    return _fitted(empty, (slope, slope), columns, everyone.yy, rest)


def _apart(empty: Regression, everyone: Spread) -> Regression:
    outside, inside = empty.groups
    if not outside.xx or not inside.xx:
        return empty
    slopes = outside.xy / outside.xx, inside.xy / inside.xx
    tilts = 1 / outside.xx.high, 1 / inside.xx.high
    starts = outside.y - slopes[0] * outside.x, inside.y - slopes[1] * inside.x
    down, up = (1 / outside.rows, -outside.x.high * tilts[0]), (1 / inside.rows, -inside.x.high * tilts[1])
    feature, group, both = empty.terms
    columns = (
        Column(INTERCEPT, starts[0], (down, (0.0, 0.0))),
        Column(feature, slopes[0], ((0.0, tilts[0]), (0.0, 0.0)), everyone.xx),
        Column(group, starts[1] - starts[0], ((-down[0], -down[1]), up), squares_of_group(outside, inside)),
        Column(
            both,
            slopes[1] - slopes[0],
            ((0.0, -tilts[0]), (0.0, tilts[1])),
            inside.xx + squares_of_group(outside, inside) * inside.x * inside.x,
        ),
    )
    rest = outside.yy - slopes[0] * outside.xy + (inside.yy - slopes[1] * inside.xy)
    return _fitted(empty, slopes, columns, everyone.yy, rest)


def _fitted(
    empty: Regression, slopes: tuple[Double, ...], columns: tuple[Column, ...], total: Double, rest: Double
) -> Regression:
    return Regression(empty.name, empty.label, empty.terms, empty.groups, slopes, columns, total, rest)


def squares_of_group(outside: Spread, inside: Spread) -> Double:
    """The sum of squares of the group, as 0 and 1, about its mean; 0 where one of them is empty."""
    return Double(float(outside.rows)) * inside.rows / max(outside.rows + inside.rows, 1)
