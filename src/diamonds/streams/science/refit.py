"""Regressions learned from a stream beside those by least squares on all of its rows at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diamonds.streams.learners import Gap
from diamonds.streams.science.inference import INTERCEPT, Regression
from diamonds.streams.science.regressions import Names, Regressions
from diamonds.streams.spec import Row

Array = NDArray[np.float64]

#: What rounding may come to in a fit of centred columns, in standard deviations.
ROUNDING = 1e-14


class Columns(NamedTuple):
    """The columns of all rows: x is the feature, y the target, g whether a row is in the group."""

    x: Array
    y: Array
    g: NDArray[np.bool_]

    @classmethod
    def of(cls, names: Names, rows: Iterator[Row]) -> Columns:
        """Those of the rows."""
        target, feature, group = names
        values = [(row[feature], row[target], row[group]) for row in rows]
        x, y, g = np.array(values, dtype=float).reshape(-1, 3).T
        return cls(x, y, g.astype(bool))

    def only(self, chosen: NDArray[np.bool_]) -> Columns:
        """Those of some of the rows."""
        return Columns(self.x[chosen], self.y[chosen], self.g[chosen])


class Solved(NamedTuple):
    """The intercept, the coefficients and the residual standard deviation, and how far off rounding may have each."""

    values: Array
    roundings: Array

    def moved(self, matrix: Array) -> Solved:
        """In other terms: `matrix` is of shape (terms, terms)."""
        return Solved(matrix @ self.values, np.abs(matrix) @ self.roundings)


Fit = Callable[[Columns], Solved]


def gaps(fitted: Regressions, rows: Iterator[Row]) -> list[Gap]:
    """Each coefficient, streamed and from the rows, and the correlation of ranks, which these alone give."""
    columns = Columns.of(fitted.names, rows)
    g, everywhere = columns.g, np.ones_like(columns.g)
    parts: tuple[tuple[Regression, NDArray[np.bool_], Fit], ...] = (
        (fitted.overall, everywhere, _on_feature),
        (fitted.by_group, everywhere, _on_group),
        (fitted.pooled, everywhere, _on_both),
        (fitted.inside, g, _on_feature),
        (fitted.outside, ~g, _on_feature),
        (fitted.apart, everywhere, _on_product),
    )
    found = [gap for regression, those, fit in parts for gap in _gaps(regression, columns.only(those), fit)]
    return [*found, *_ranks(fitted, columns)]


def _on_feature(rows: Columns) -> Solved:
    return least_squares(rows.y, [rows.x])


def _on_group(rows: Columns) -> Solved:
    return least_squares(rows.y, [rows.g])


def _on_both(rows: Columns) -> Solved:
    return least_squares(rows.y, [rows.x, rows.g])


def _on_product(rows: Columns) -> Solved:
    """Fitted about the mean of the feature: far from 0, its product with the group is all but the group."""
    mean, away = _centred(rows.x)
    undo = np.eye(5)
    undo[[0, 2], [1, 3]] = -mean  # a slope moves the intercept, the difference of slopes that of the intercepts
    return least_squares(rows.y, [away, rows.g, away * rows.g]).moved(undo)


def _gaps(regression: Regression, rows: Columns, fit: Fit) -> Iterator[Gap]:
    summary = regression.summary()
    terms = [summary[INTERCEPT], *summary["terms"]]
    if summary["sigma"] is None or len(rows.y) <= len(terms):
        return
    streamed = [(term["term"], term["estimate"], term["se"]) for term in terms]
    streamed.append(("residual deviation", summary["sigma"], 0.0))
    solved = fit(rows)
    for (what, here, se), there, rounding in zip(
        streamed, solved.values.tolist(), solved.roundings.tolist(), strict=True
    ):
        yield _gap(f"{regression.name}: {what}", here, there, se, rounding)


def least_squares(target: Array, design: Sequence[NDArray[Any]]) -> Solved:
    """Solved about the means, which are put back afterwards."""
    means, columns = _centred(np.column_stack(design).astype(float))
    mean, around = _centred(target)
    slopes = np.linalg.lstsq(columns, around, rcond=None)[0]
    residuals = around - columns @ slopes
    deviation = np.sqrt(residuals @ residuals / (len(target) - len(design) - 1))
    spread, undo = around.std(), np.eye(len(design) + 2)
    undo[0, 1:-1] = -means
    roundings = ROUNDING * np.array([abs(mean) + spread, *(spread / columns.std(axis=0)), spread])
    return Solved(np.array([mean, *slopes, deviation]), roundings).moved(undo)


def _centred(columns: Array) -> tuple[Array, Array]:
    """The means, and what is left; taken away twice, for far from 0 a mean is rounded as its values are."""
    first = columns.mean(axis=0)
    second = (columns - first).mean(axis=0)
    return first + second, columns - first - second


def _gap(what: str, streamed: float, batch: float, se: float, rounding: float) -> Gap:
    """Relative to the number, or to its standard error where that is greater: a slope of 0 has no digits to meet.

    What the batch fit's own rounding explains is no gap.
    """
    gap = max(abs(streamed - batch) - rounding, 0.0) / (max(abs(batch), se) or 1.0)
    return {"what": what, "streamed": streamed, "batch": batch, "gap": gap, "unit": "relative"}


def _ranks(fitted: Regressions, columns: Columns) -> Iterator[Gap]:
    """Spearman's correlation, which no sums can give, beside Pearson's: far apart, the relation is no straight line."""
    from scipy.stats import spearmanr

    if not fitted.everyone.xx or not fitted.everyone.yy:
        return
    streamed = float(fitted.everyone.xy) / (float(fitted.everyone.xx) * float(fitted.everyone.yy)) ** 0.5
    batch = float(spearmanr(columns.x, columns.y).statistic)
    what = f"correlation of {fitted.names.feature} and {fitted.names.target} (streamed) beside that of their ranks"
    yield {"what": what, "streamed": streamed, "batch": batch, "gap": abs(streamed - batch), "unit": "difference"}
