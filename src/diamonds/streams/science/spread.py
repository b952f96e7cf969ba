"""How two columns lie in a set of rows: their means, and the central moments that all statistics are made of."""

from __future__ import annotations

import math
from functools import cached_property

from diamonds.streams.science.double import Double
from diamonds.streams.science.sums import POWERS, Sums

#: Sums of squares about the mean that are a smaller share of those about the origin are rounding: no spread at all.
ROUNDING = 1e-24
#: Sums of squares that are smaller than this are no spread either: what is divided by them would be beyond any float.
LEAST = 1e-60
#: Moments of degree 3 and 4 are told only if the mean is nearer to the origin than so many squared standard deviations.
FARTHEST = 1e10
DEGREE = 4


class Spread:
    """The rows of a group, or of all groups: x is the feature, y the target.

    Attributes:
        rows: How many there are.
        x: The mean of x; 0 where there are no rows.
        y: The mean of y.
        xx: The sum of squares of x about its mean; exactly 0 where x does not vary.
        xy: The sum of products about the means.
        yy: The sum of squares of y about its mean; exactly 0 where y does not vary.
        is_sharp: Whether the moments of degree 3 and 4 keep ten digits.
    """

    def __init__(self, sums: Sums, origin: tuple[float, float]) -> None:
        self._sums, self._origin = sums, origin
        self.rows = sums.rows
        self._residuals: dict[tuple[float, float, int, int], Double] = {}
        rows = max(sums.rows, 1)
        x, y = sums.of(1, 0), sums.of(0, 1)
        self._shift = x / rows, y / rows
        self.x, self.y = self._shift[0] + origin[0], self._shift[1] + origin[1]
        self.xx = squares_or_none(sums.of(2, 0) - x * self._shift[0], sums.of(2, 0))
        self.yy = squares_or_none(sums.of(0, 2) - y * self._shift[1], sums.of(0, 2))
        self.xy = sums.of(1, 1) - x * self._shift[1] if self.xx and self.yy else Double(0.0)

    @property
    def is_sharp(self) -> bool:
        """Whether the moments of degree 3 and 4 keep ten digits."""
        pairs = zip(self._shift, (self.xx, self.yy), strict=True)
        return all(self.rows * shift.high**2 <= FARTHEST * squares.high for shift, squares in pairs)

    @cached_property
    def moments(self) -> dict[tuple[int, int], Double]:
        """The sums of (x - mean of x)ʲ·(y - mean of y)ᵏ by (j, k), to degree 4."""
        moved = {power: self._sums.of(*power) for power in [(0, 0), *POWERS]}
        for fixed in range(DEGREE):
            _move(moved, [(power, fixed) for power in range(DEGREE + 1 - fixed)], self._shift[0])
        for fixed in range(DEGREE):
            _move(moved, [(fixed, power) for power in range(DEGREE + 1 - fixed)], self._shift[1])
        return moved

    def residuals(self, slope: Double, power: int, power_of_x: int = 0) -> Double:
        """The sum of eⁿ·(x - mean of x)ʲ, where e is the distance of y from a line of this slope through the means."""
        asked = slope.high, slope.low, power, power_of_x
        if asked not in self._residuals:
            self._residuals[asked] = self._summed(slope, power, power_of_x)
        return self._residuals[asked]

    def _summed(self, slope: Double, power: int, power_of_x: int) -> Double:
        total = self.moments[power_of_x, power]
        if not slope:
            return total
        factor = Double(1.0)
        for taken in range(1, power + 1):
            factor *= -slope
            total += factor * self.moments[power_of_x + taken, power - taken] * math.comb(power, taken)
        return total

    def squared_residuals(self, slope: Double) -> tuple[float, float, float]:
        """The sums of e², e²·(x - mean of x) and e²·(x - mean of x)² about such a line."""
        flat, tilted, bent = (float(self.residuals(slope, 2, power)) for power in range(3))
        return flat, tilted, bent

    def at_first(self, slope: Double) -> Double:
        """How far above the first row a line of this slope through the means is, at the x of that row."""
        return self._shift[1] - slope * self._shift[0]

    def __add__(self, other: Spread) -> Spread:
        """The rows of both; they were summed about the same origin."""
        return Spread(self._sums + other._sums, self._origin)


def squares_or_none(left: Double, whole: Double) -> Double:
    """What is left of a sum of squares; exactly 0 where that is but rounding of the whole."""
    return left if left.high > max(ROUNDING * whole.high, LEAST) else Double(0.0)


def _move(moments: dict[tuple[int, int], Double], powers: list[tuple[int, int]], by: Double) -> None:
    """Take moments of rising powers of one column about a point that lies `by` farther (Horner's shift)."""
    for lowest in range(1, len(powers)):
        for place in range(len(powers) - 1, lowest - 1, -1):
            moments[powers[place]] -= by * moments[powers[place - 1]]
