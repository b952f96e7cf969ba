"""Means, variances and correlations of a target, a feature and a group: of all rows and of each group."""

from __future__ import annotations

import math
from typing import Any

from diamonds.streams.science.double import Double
from diamonds.streams.science.regressions import Names, Regressions, squares_of_group
from diamonds.streams.science.spread import Spread, squares_or_none


def group_facts(fitted: Regressions) -> dict[str, Any]:
    """Rows, means, variances and covariances, as JSON; None where there are too few rows."""
    names = fitted.names
    outside, inside = fitted.groups
    parts = {"all": fitted.everyone, names.group: inside, f"not {names.group}": outside}
    return {name: _facts(rows, names) for name, rows in parts.items()}


def _facts(rows: Spread, names: Names) -> dict[str, Any]:
    def spread(squares: Double) -> float | None:
        return float(squares / (rows.rows - 1)) if rows.rows > 1 else None

    means = (rows.x, rows.y) if rows.rows else (None, None)
    return {
        "rows": rows.rows,
        "means": {name: None if mean is None else float(mean) for name, mean in zip(names[1::-1], means, strict=True)},
        "variances": {names.feature: spread(rows.xx), names.target: spread(rows.yy)},
        "covariance": spread(rows.xy),
    }


def correlations(fitted: Regressions) -> dict[str, float | None]:
    """Pearson's correlations of each pair by name: of all rows, with the third held fixed (`| third`), in one group."""
    target, feature, group = fitted.names
    products = _Products(fitted)
    thirds = [(feature, target, group), (feature, group, target), (target, group, feature)]
    return {
        **{f"{one} ~ {other}": products.correlation(one, other) for one, other, _ in thirds},
        **{f"{one} ~ {other} | {given}": products.correlation(one, other, given) for one, other, given in thirds},
        f"{feature} ~ {target}, {group} only": _inside(fitted.groups[1]),
        f"{feature} ~ {target}, not {group}": _inside(fitted.groups[0]),
    }


class _Products:
    """Sums of products about the means, of each pair of columns."""

    def __init__(self, fitted: Regressions) -> None:
        target, feature, group = fitted.names
        everyone, (outside, inside) = fitted.everyone, fitted.groups
        squares = squares_of_group(outside, inside)
        self._known = {
            (feature, feature): everyone.xx,
            (target, target): everyone.yy,
            (group, group): squares,
            (feature, target): everyone.xy,
            (feature, group): squares * (inside.x - outside.x),
            (target, group): squares * (inside.y - outside.y),
        }

    def of(self, one: str, other: str) -> Double:
        return self._known[one, other] if (one, other) in self._known else self._known[other, one]

    def correlation(self, one: str, other: str, given: str | None = None) -> float | None:
        return _ratio(self.left(one, one, given), self.left(one, other, given), self.left(other, other, given))

    def left(self, one: str, other: str, given: str | None) -> Double:
        """What is left of a sum when a third column is held fixed."""
        whole = self.of(one, other)
        if given is None or not self.of(given, given):
            return whole
        rest = whole - self.of(one, given) * self.of(other, given) / self.of(given, given)
        return squares_or_none(rest, whole) if one == other else rest


def _inside(rows: Spread) -> float | None:
    return _ratio(rows.xx, rows.xy, rows.yy)


def _ratio(xx: Double, xy: Double, yy: Double) -> float | None:
    return float(xy) / math.sqrt(xx.high) / math.sqrt(yy.high) if xx and yy else None
