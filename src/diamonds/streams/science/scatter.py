"""Whether the errors of a regression are of one size for all rows: tests by the squares of the residuals.

These are regressed on what may go with their size. The share that is explained, times the rows, has the distribution of
chi² where nothing goes with it. All of it comes from the moments of the groups about their means, to degree 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypedDict

from scipy import special

from diamonds.streams.science.double import Double
from diamonds.streams.science.inference import ZERO, Regression
from diamonds.streams.science.spread import Spread, squares_or_none


class Test(TypedDict):
    """A statistic, its p-value and its degrees of freedom."""

    statistic: float | None
    p: float | None
    degrees: int | None


class Regressor(NamedTuple):
    """A power of the feature, about the mean of each of these groups and 0 in others."""

    power: int
    groups: tuple[int, ...]


_ONE, _OUTSIDE, _INSIDE, _BOTH = (0,), (0,), (1,), (0, 1)
#: What the squares are regressed on beside the groups' means, by how many groups a regression has and how many terms.
BY_TERMS: dict[tuple[int, int], tuple[Regressor, ...]] = {
    (1, 1): (Regressor(1, _ONE),),
    (2, 1): (),
    (2, 2): (Regressor(1, _BOTH),),
    (2, 3): (Regressor(1, _OUTSIDE), Regressor(1, _INSIDE)),
}
#: The same with all squares and products of terms; a group's square is itself.
BY_PRODUCTS: dict[tuple[int, int], tuple[Regressor, ...]] = {
    (1, 1): (Regressor(1, _ONE), Regressor(2, _ONE)),
    (2, 1): (),
    (2, 2): (Regressor(1, _OUTSIDE), Regressor(1, _INSIDE), Regressor(2, _BOTH)),
    (2, 3): (Regressor(1, _OUTSIDE), Regressor(1, _INSIDE), Regressor(2, _OUTSIDE), Regressor(2, _INSIDE)),
}


def breusch_pagan(regression: Regression) -> Test:
    """Whether the errors' size goes with the terms.

    Source: Breusch and Pagan, Econometrica 1979, in the form of Koenker, Journal of Econometrics 1981, which holds for
    errors that are not normal.
    """
    return _test(regression, BY_TERMS)


def white(regression: Regression) -> Test:
    """Whether it goes with the terms, their squares or their products.

    Source: White, Econometrica 1980.
    """
    return _test(regression, BY_PRODUCTS)


def _test(regression: Regression, choice: dict[tuple[int, int], tuple[Regressor, ...]]) -> Test:
    if not regression.is_told or not all(group.is_sharp for group in regression.groups):
        return Test(statistic=None, p=None, degrees=None)
    groups = [_Squares(*each) for each in zip(regression.groups, regression.slopes, strict=True)]
    total = squares_or_none(sum((g.fourths for g in groups), ZERO) - _by_mean(groups), _by_mean(groups))
    if not total:
        return Test(statistic=None, p=None, degrees=None)
    within, degrees = _explained(groups, choice[len(groups), len(regression.terms)])
    degrees += len(groups) - 1
    statistic = float((within + _between(groups)) / total) * regression.rows
    return Test(statistic=statistic, p=float(special.chdtrc(degrees, statistic)), degrees=degrees)


class _Squares:
    """The squares v of a group's residuals: sums of v, v² and products with powers of u, the feature about its mean."""

    def __init__(self, rows: Spread, slope: Double) -> None:
        self.rows = float(rows.rows)
        self.sum, self.fourths = rows.residuals(slope, 2), rows.residuals(slope, 4)
        self._powers = [rows.moments[power, 0] for power in range(5)]
        self._with_powers = [rows.residuals(slope, 2, power) for power in range(3)]

    def product(self, power: int, other: int) -> Double:
        """Of two powers of u, about their means."""
        return self._powers[power + other] - self._powers[power] * self._powers[other] / self.rows

    def with_squares(self, power: int) -> Double:
        """Of a power of u and v, about their means."""
        return self._with_powers[power] - self._powers[power] * self.sum / self.rows


def _by_mean(groups: Sequence[_Squares]) -> Double:
    """What the mean of all squares explains of the sum of theirs."""
    whole = sum((group.sum for group in groups), ZERO)
    return whole * whole / sum(group.rows for group in groups)


def _between(groups: Sequence[_Squares]) -> Double:
    """What the groups' means of the squares explain, beyond the mean of all."""
    if len(groups) == 1:
        return ZERO
    one, other = groups
    apart = one.sum / one.rows - other.sum / other.rows
    return apart * apart * (one.rows * other.rows / (one.rows + other.rows))


def _explained(groups: Sequence[_Squares], regressors: Sequence[Regressor]) -> tuple[Double, int]:
    """What regressors explain of the squares inside the groups, and how many of them say something of their own."""
    products = [[_product(groups, one, other) for other in regressors] for one in regressors]
    with_squares = [sum((groups[place].with_squares(each.power) for place in each.groups), ZERO) for each in regressors]
    explained, degrees = ZERO, 0
    for place, whole in enumerate([row[place] for place, row in enumerate(products)]):
        pivot = squares_or_none(products[place][place], whole)
        if not pivot:
            continue
        explained += with_squares[place] * with_squares[place] / pivot
        degrees += 1
        for later in range(place + 1, len(regressors)):
            factor = products[later][place] / pivot
            with_squares[later] -= factor * with_squares[place]
            for column in range(place, len(regressors)):
                products[later][column] -= factor * products[place][column]
    return explained, degrees


def _product(groups: Sequence[_Squares], one: Regressor, other: Regressor) -> Double:
    common = set(one.groups) & set(other.groups)
    return sum((groups[place].product(one.power, other.power) for place in sorted(common)), ZERO)
