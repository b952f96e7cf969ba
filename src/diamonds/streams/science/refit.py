"""Regressions learned from a stream beside those by least squares on all of its rows at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diamonds.streams.learners import Gap
from diamonds.streams.science.inference import INTERCEPT, Regression
from diamonds.streams.science.regressions import Names, Regressions
from diamonds.streams.spec import Row

Array = NDArray[np.float64]


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


def gaps(fitted: Regressions, rows: Iterator[Row]) -> list[Gap]:
    """Each coefficient, streamed and from the rows, and the correlation of ranks, which these alone give."""
    columns = Columns.of(fitted.names, rows)
    x, g = columns.x, columns.g
    as_number = g.astype(float)
    designs = (
        (fitted.overall, columns, [x]),
        (fitted.by_group, columns, [as_number]),
        (fitted.pooled, columns, [x, as_number]),
        (fitted.inside, columns.only(g), [x[g]]),
        (fitted.outside, columns.only(~g), [x[~g]]),
        (fitted.apart, columns, [x, as_number, x * as_number]),
    )
    found = [gap for regression, those, design in designs for gap in _gaps(regression, those.y, design)]
    return [*found, *_ranks(fitted, columns)]


def _gaps(regression: Regression, target: Array, design: list[Array]) -> Iterator[Gap]:
    summary = regression.summary()
    if summary["sigma"] is None or len(target) <= len(design) + 1:
        return
    *coefficients, deviation = least_squares(target, design)
    terms = [summary[INTERCEPT], *summary["terms"]]
    for term, fitted in zip(terms, coefficients, strict=True):
        yield _gap(f"{regression.name}: {term['term']}", term["estimate"], fitted, term["se"])
    yield _gap(f"{regression.name}: residual deviation", summary["sigma"], deviation, 0.0)


def least_squares(target: Array, design: list[Array]) -> list[float]:
    """The intercept, the coefficients and the residual standard deviation, solved about the means."""
    columns = np.column_stack(design).astype(float)
    means, mean = columns.mean(axis=0), target.mean()
    centred, around = columns - means, target - mean
    slopes = np.linalg.lstsq(centred, around, rcond=None)[0]
    residuals = around - centred @ slopes
    deviation = np.sqrt(residuals @ residuals / (len(target) - len(design) - 1))
    return [float(mean - means @ slopes), *slopes.tolist(), float(deviation)]


def _gap(what: str, streamed: float, batch: float, se: float) -> Gap:
    """Relative to the number, or to its standard error where that is greater: a slope of 0 has no digits to meet."""
    gap = abs(streamed - batch) / (max(abs(batch), se) or 1.0)
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
