"""Least squares without rounding: floats are fractions, and fractions add and divide exactly."""

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from operator import mul

#: So many binary digits after the point hold any float that a stream of these scales has.
SHIFT = 140
#: Digits of the roots that are taken, as a power of ten.
ROOT_DIGITS = 60


class ExactFit:
    """A regression of the target on columns and an intercept, which is the first of all that is told by column."""

    def __init__(self, target: Sequence[float], columns: Sequence[Sequence[float]]) -> None:
        self.rows = len(target)
        self._y = whole(target)
        self._x = [[1 << SHIFT] * self.rows, *(whole(column) for column in columns)]
        unit = 1 << (2 * SHIFT)
        self._products = [[Fraction(sum(map(mul, a, b)), unit) for b in self._x] for a in self._x]
        self.inverse = inverse(self._products)
        with_y = [Fraction(sum(map(mul, a, self._y)), unit) for a in self._x]
        self.coefficients = [sum(map(mul, row, with_y), Fraction(0)) for row in self.inverse]
        squares = Fraction(sum(map(mul, self._y, self._y)), unit)
        self.rest = squares - sum(map(mul, self.coefficients, with_y), Fraction(0))
        self.total = squares - Fraction(sum(self._y), 1 << SHIFT) ** 2 / self.rows

    @property
    def degrees(self) -> int:
        """Of freedom."""
        return self.rows - len(self._x)

    @property
    def r2(self) -> float:
        """The share of the variance that is explained."""
        return float(1 - self.rest / self.total)

    @property
    def adjusted_r2(self) -> float:
        """The same, of unbiased variances."""
        return float(1 - self.rest / self.degrees / (self.total / (self.rows - 1)))

    @property
    def f(self) -> float:
        """The ratio of explained to unexplained variance."""
        return float((self.total - self.rest) / (len(self._x) - 1) / (self.rest / self.degrees))

    @property
    def sigma(self) -> float:
        """The residuals' standard deviation."""
        return root(self.rest / self.degrees)

    @property
    def errors(self) -> list[float]:
        """The standard error of each coefficient."""
        return [root(self.inverse[i][i] * self.rest / self.degrees) for i in range(len(self._x))]

    @property
    def ratios(self) -> list[float]:
        """The t of each coefficient."""
        pairs = zip(self.coefficients, range(len(self._x)), strict=True)
        return [
            math.copysign(root(b * b / (self.inverse[i][i] * self.rest / self.degrees)), b) if b else 0.0
            for b, i in pairs
        ]

    @property
    def inflation(self) -> list[float]:
        """The variance inflation factor of each column but the intercept."""
        return [
            float(self.inverse[i][i] * (self._products[i][i] - self._products[0][i] ** 2 / self.rows))
            for i in range(1, len(self._x))
        ]

    @property
    def robust_errors(self) -> list[float]:
        """The standard error of each coefficient by White's formula (HC0)."""
        found = []
        for row in self.inverse:
            scale, weights = common(row)
            sums = [sum(map(mul, weights, of_row)) for of_row in zip(*self._x, strict=True)]
            scale *= self._residual_scale << (2 * SHIFT)
            found.append(
                root(Fraction(sum((e * w) ** 2 for e, w in zip(self._residuals, sums, strict=True)), scale**2))
            )
        return found

    @property
    def jarque_bera(self) -> float:
        """The statistic of Jarque and Bera."""
        squares, cubes, fourths = (Fraction(sum(e**power for e in self._residuals), self.rows) for power in (2, 3, 4))
        return float(Fraction(self.rows, 6) * (cubes**2 / squares**3 + (fourths / squares**2 - 3) ** 2 / 4))

    @cached_property
    def _residual_scale(self) -> int:
        return common(self.coefficients)[0]

    @cached_property
    def _residuals(self) -> list[int]:
        """Times the scale of both."""
        scale, weights = common(self.coefficients)
        of_rows = zip(self._y, zip(*self._x, strict=True), strict=True)
        return [scale * y - sum(map(mul, weights, xs)) for y, xs in of_rows]


def whole(numbers: Sequence[float]) -> list[int]:
    """Floats as whole numbers of the smallest unit.

    Raises:
        ValueError: One of them needs a smaller one.
    """
    found = []
    for number in numbers:
        above, below = float(number).as_integer_ratio()
        if below > 1 << SHIFT:
            raise ValueError(f"{number!r} has more digits than are kept")
        found.append(above * ((1 << SHIFT) // below))
    return found


def common(fractions: Sequence[Fraction]) -> tuple[int, list[int]]:
    """Fractions as whole numbers over one denominator, which comes first."""
    scale = math.lcm(*(each.denominator for each in fractions))
    return scale, [each.numerator * (scale // each.denominator) for each in fractions]


def root(square: Fraction) -> float:
    """The square root to the last digit of a float."""
    if not square:
        return 0.0
    digits = max(0, ROOT_DIGITS + (square.denominator.bit_length() - square.numerator.bit_length()) // 3)
    scaled = math.isqrt(square.numerator * 10 ** (2 * digits) // square.denominator)
    return float(Fraction(scaled, 10**digits))


def inverse(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    """The inverse of a positive definite matrix, by elimination."""
    size = len(matrix)
    rows = [[*row, *(Fraction(i == j) for j in range(size))] for i, row in enumerate(matrix)]
    for i in range(size):
        rows[i] = [each / rows[i][i] for each in rows[i]]
        for j in range(size):
            if j != i:
                factor = rows[j][i]
                rows[j] = [a - factor * b for a, b in zip(rows[j], rows[i], strict=True)]
    return [row[size:] for row in rows]
