"""Least squares among a target, a feature and a boolean group, from central moments alone: as exact as from the rows.

Each coefficient is a weighted sum of the targets, and the weights are linear in the feature within each group. So its
variance, ordinary and robust, is had from the moments of the groups (White, Econometrica 1980, for the robust one).
What cannot be said, of too few rows or of a column that does not vary, is None.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from scipy import special

from diamonds.streams.science.double import Double
from diamonds.streams.science.spread import ROUNDING, Spread, squares_or_none

#: One minus the confidence of all intervals that are shown.
ALPHA = 0.05
#: The number of rows for which the intervals that hold while one watches are narrowest.
TIGHTEST_AT = 100
#: With fewer degrees of freedom nothing is concluded: their intervals lean on the central limit theorem.
LEAST_DEGREES = 8

INTERCEPT = "intercept"
ZERO = Double(0.0)


class Term(NamedTuple):
    """One coefficient of a regression.

    Attributes:
        term: Its name.
        estimate: The coefficient.
        se: Its standard error.
        t: Their ratio.
        p: The probability of such a ratio or a greater one, were the coefficient 0.
        low: Where the 95 % interval begins that holds at this number of rows.
        high: Where it ends.
        watching_low: Where the 95 % interval begins that holds at all numbers of rows at once.
        watching_high: Where it ends.
        vif: The variance inflation factor; None for an intercept.
        se_robust: The standard error that holds if the errors vary in size (HC0).
    """

    term: str
    estimate: float | None = None
    se: float | None = None
    t: float | None = None
    p: float | None = None
    low: float | None = None
    high: float | None = None
    watching_low: float | None = None
    watching_high: float | None = None
    vif: float | None = None
    se_robust: float | None = None


class Slope(NamedTuple):
    """A coefficient, and as much as is needed to conclude something from it."""

    estimate: float
    se: float
    rows: int
    degrees: int

    def interval(self, alpha: float = ALPHA) -> tuple[float, float] | None:
        """The interval that holds at all numbers of rows at once; None where there are too few rows."""
        if self.degrees < LEAST_DEGREES:
            return None
        half = watching_factor(self.rows, alpha) * self.se
        return self.estimate - half, self.estimate + half


def watching_factor(rows: int, alpha: float = ALPHA) -> float:
    """How many standard errors wide each half of an interval is that holds at all numbers of rows at once.

    Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic
    confidence sequences", Annals of Statistics 2024.

    >>> [round(watching_factor(rows), 2) for rows in (100, 1000, 1_000_000)]
    [3.04, 3.24, 4.16]
    """
    log_alpha = math.log(alpha)
    scaled = rows * (-2 * log_alpha + math.log1p(-2 * log_alpha)) / TIGHTEST_AT
    return math.sqrt(2 * (scaled + 1) / scaled * (math.log1p(scaled) / 2 - log_alpha))


class Column(NamedTuple):
    """A column of a regression.

    Attributes:
        term: Its name.
        estimate: Its coefficient.
        weights: By group, p and q of the weights p + q·(x - the group's mean of x) that make it of the targets.
        squares: Its sum of squares about its mean; None for the intercept.
    """

    term: str
    estimate: Double
    weights: tuple[tuple[float, float], ...]
    squares: Double | None = None


@dataclass(frozen=True)
class Regression:
    """One regression of the target.

    Attributes:
        name: As a formula has it.
        label: What it looks at, in words.
        terms: The names of its coefficients, without the intercept.
        groups: The rows, by group where the fit differs by group.
        slopes: The fitted slope on the feature in each of them.
        columns: The intercept and the others; none where the fit is not defined.
        total: The sum of squares of the target about its mean.
        rest: The sum of squares of the residuals.
    """

    name: str
    label: str
    terms: tuple[str, ...]
    groups: tuple[Spread, ...]
    slopes: tuple[Double, ...] = ()
    columns: tuple[Column, ...] = ()
    total: Double = ZERO
    rest: Double = ZERO

    @property
    def rows(self) -> int:
        """How many rows it is fitted to."""
        return sum(group.rows for group in self.groups)

    @property
    def degrees(self) -> int:
        """How many of them the coefficients leave free."""
        return self.rows - len(self.terms) - 1

    @property
    def is_judged(self) -> bool:
        """Whether there are rows left to tell the errors by."""
        return bool(self.columns) and self.degrees > 0

    @property
    def is_told(self) -> bool:
        """Whether there are rows left to tell the errors by, and errors."""
        return self.is_judged and bool(self._variance)

    @cached_property
    def _variance(self) -> Double:
        """The residuals' variance; 0 where they are rounding."""
        if self.rest.high <= ROUNDING * self.total.high:
            return ZERO
        return self.rest / self.degrees

    @cached_property
    def _quantile(self) -> float:
        """How many standard errors wide each half of an interval is at this number of rows."""
        return float(special.stdtrit(self.degrees, 1 - ALPHA / 2))

    def slope(self, term: str) -> Slope | None:
        """One of the coefficients; None where it or its error is not defined."""
        found = [column for column in self.columns if column.term == term]
        if not found or not self.is_judged:
            return None
        return Slope(float(found[0].estimate), self._se(found[0]), self.rows, self.degrees)

    def summary(self) -> dict[str, Any]:
        """All of its statistics, as JSON."""
        columns = {column.term: self._term(column)._asdict() for column in self.columns}
        intercept, *terms = (columns.get(term, Term(term)._asdict()) for term in (INTERCEPT, *self.terms))
        head = {"name": self.name, "label": self.label, "rows": self.rows}
        return head | self._fit() | {"intercept": intercept, "terms": terms}

    def predict(self, x: float) -> tuple[float, float, float] | None:
        """The target expected at an x, and the 95 % interval of a single one there; for fits of one slope and group.

        None where there are too few rows, or where x is so far away that no float holds what is expected.
        """
        if not self.is_judged:
            return None
        [group], [slope] = self.groups, self.slopes
        away = x - group.x
        expected = float(group.y + slope * away)
        variance = self._variance * (away * away / group.xx + 1 / Double(float(group.rows)) + 1.0)
        half = math.sqrt(variance) * self._quantile
        low, high = expected - half, expected + half
        return (expected, low, high) if math.isfinite(low) and math.isfinite(high) else None

    def _unscaled(self, column: Column) -> float:
        """The coefficient's variance as a multiple of that of the errors."""
        weighed = zip(self.groups, column.weights, strict=True)
        return sum(p * p * group.rows + q * q * group.xx.high for group, (p, q) in weighed)

    def _se(self, column: Column) -> float:
        return math.sqrt(float(self._variance) * self._unscaled(column))

    def _term(self, column: Column) -> Term:
        estimate = float(column.estimate)
        vif = None if column.squares is None else float(column.squares) * self._unscaled(column)
        if not self.is_judged:
            return Term(column.term, estimate, vif=vif)
        se = self._se(column)
        t = estimate / se if se else None
        p = None if t is None else 2 * float(special.stdtr(self.degrees, -abs(t)))
        half = se * self._quantile
        least, most = Slope(estimate, se, self.rows, self.degrees).interval() or (None, None)
        return Term(
            column.term, estimate, se, t, p, estimate - half, estimate + half, least, most, vif, self._robust(column)
        )

    def _robust(self, column: Column) -> float | None:
        """Its standard error as White has it: the sum of the squared residuals by the squared weights."""
        if not all(group.is_sharp for group in self.groups):
            return None
        total = 0.0
        for group, slope, (p, q) in zip(self.groups, self.slopes, column.weights, strict=True):
            flat, tilted, bent = group.squared_residuals(slope)
            total += p * p * flat + 2 * p * q * tilted + q * q * bent
        return math.sqrt(max(total, 0.0))

    def _fit(self) -> dict[str, float | None]:
        """What is said of the fit as a whole."""
        r2 = adjusted = f = f_p = likelihood = sigma = aic = bic = None
        judged, parameters = self.is_judged, len(self.terms)
        if judged:
            sigma = math.sqrt(self._variance)
        if judged and self.total:
            explained = squares_or_none(self.total - self.rest, self.total)
            r2 = float(explained / self.total)
            adjusted = float(1.0 - self._variance * (self.rows - 1) / self.total)
            f = float(explained / parameters / self._variance) if self._variance else None
            f_p = None if f is None else float(special.fdtrc(parameters, self.degrees, f))
        if judged and self._variance:
            likelihood = -self.rows / 2 * (math.log(2 * math.pi) + math.log(self.rest / self.rows) + 1)
            aic = -2 * likelihood + 2 * (parameters + 1)
            bic = -2 * likelihood + math.log(self.rows) * (parameters + 1)
        return {
            "r2": r2, "adjusted_r2": adjusted, "f": f, "f_p": f_p, "sigma": sigma,
            "log_likelihood": likelihood, "aic": aic, "bic": bic,
        }  # fmt: skip

    def jarque_bera(self) -> dict[str, float | None]:
        """Whether the residuals look normal, as JSON.

        Source: Jarque and Bera, "A test for normality of observations and regression residuals", International
        Statistical Review 1987.
        """
        if not self.is_told or not all(group.is_sharp for group in self.groups):
            return dict.fromkeys(("statistic", "p", "skewness", "kurtosis"))
        cubes = fourths = ZERO
        for group, slope in zip(self.groups, self.slopes, strict=True):
            cubes += group.residuals(slope, 3)
            fourths += group.residuals(slope, 4)
        squares = self.rest / self.rows
        skewness = float(cubes / self.rows) / float(squares) ** 1.5
        kurtosis = float(fourths / self.rows / squares / squares)
        statistic = self.rows / 6 * (skewness**2 + (kurtosis - 3) ** 2 / 4)
        return {"statistic": statistic, "p": math.exp(-statistic / 2), "skewness": skewness, "kurtosis": kurtosis}
