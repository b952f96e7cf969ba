"""Sums over pairs of numbers, precise enough that every regression on them can be had from the sums alone."""

from __future__ import annotations

from collections.abc import Sequence

from diamonds.streams.science.double import SPLITTER, Double

#: The powers of x and y whose products are summed, in the order in which the sums lie.
POWERS = (
    (1, 0), (0, 1),
    (2, 0), (1, 1), (0, 2),
    (3, 0), (2, 1), (1, 2), (0, 3),
    (4, 0), (3, 1), (2, 2), (1, 3), (0, 4),
)  # fmt: skip
#: Where each sum has its high and low half.
PLACES = range(0, 2 * len(POWERS), 2)


class Sums:
    """How many pairs there were, and their sums of xʲyᵏ for 1 ≤ j + k ≤ 4, each in double-double.

    Pairs are added one by one: what is held is a function of the pairs and their order, to the last bit.
    """

    __slots__ = ("halves", "rows")

    def __init__(self, rows: int = 0, halves: Sequence[float] = ()) -> None:
        self.rows = rows
        self.halves = list(halves) or [0.0] * (2 * len(POWERS))

    def of(self, power_of_x: int, power_of_y: int) -> Double:
        """One of the sums."""
        if power_of_x == power_of_y == 0:
            return Double(float(self.rows))
        place = 2 * POWERS.index((power_of_x, power_of_y))
        return Double(self.halves[place], self.halves[place + 1])

    def add(self, x: float, x_low: float, y: float, y_low: float) -> None:
        """Add one pair: x + x_low and y + y_low, where what is low is less than the last digit of the other."""
        addends = _monomials(x, x_low, y, y_low)
        halves = self.halves
        for place in PLACES:
            high = halves[place]
            addend = addends[place]
            total = high + addend
            part = total - high
            rest = (high - (total - part)) + (addend - part) + (halves[place + 1] + addends[place + 1])
            halves[place] = high = total + rest
            halves[place + 1] = rest - (high - total)
        self.rows += 1

    def __add__(self, other: Sums) -> Sums:
        """The sums over the pairs of both."""
        halves: list[float] = []
        for place in PLACES:
            total = Double(*self.halves[place : place + 2]) + Double(*other.halves[place : place + 2])
            halves += (total.high, total.low)
        return Sums(self.rows + other.rows, halves)


def _monomials(x: float, x_low: float, y: float, y_low: float) -> tuple[float, ...]:
    """Each of the products, its high and its low half; written out, for every pair of a stream comes by here."""
    scaled = SPLITTER * x
    x_a = scaled - (scaled - x)
    x_b = x - x_a
    scaled = SPLITTER * y
    y_a = scaled - (scaled - y)
    y_b = y - y_a
    xx = x * x
    xx_low = ((x_a * x_a - xx) + 2.0 * x_a * x_b) + x_b * x_b + 2.0 * x * x_low
    xy = x * y
    xy_low = ((x_a * y_a - xy) + x_a * y_b + x_b * y_a) + x_b * y_b + (x * y_low + x_low * y)
    yy = y * y
    yy_low = ((y_a * y_a - yy) + 2.0 * y_a * y_b) + y_b * y_b + 2.0 * y * y_low
    scaled = SPLITTER * xx
    xx_a = scaled - (scaled - xx)
    xx_b = xx - xx_a
    scaled = SPLITTER * xy
    xy_a = scaled - (scaled - xy)
    xy_b = xy - xy_a
    scaled = SPLITTER * yy
    yy_a = scaled - (scaled - yy)
    yy_b = yy - yy_a
    xxx = xx * x
    xxy = xx * y
    xyy = yy * x
    yyy = yy * y
    xxxx = xx * xx
    xxxy = xx * xy
    xxyy = xx * yy
    xyyy = xy * yy
    yyyy = yy * yy
    return (
        x, x_low,
        y, y_low,
        xx, xx_low,
        xy, xy_low,
        yy, yy_low,
        xxx, ((xx_a * x_a - xxx) + xx_a * x_b + xx_b * x_a) + xx_b * x_b + (xx * x_low + xx_low * x),
        xxy, ((xx_a * y_a - xxy) + xx_a * y_b + xx_b * y_a) + xx_b * y_b + (xx * y_low + xx_low * y),
        xyy, ((yy_a * x_a - xyy) + yy_a * x_b + yy_b * x_a) + yy_b * x_b + (yy * x_low + yy_low * x),
        yyy, ((yy_a * y_a - yyy) + yy_a * y_b + yy_b * y_a) + yy_b * y_b + (yy * y_low + yy_low * y),
        xxxx, ((xx_a * xx_a - xxxx) + 2.0 * xx_a * xx_b) + xx_b * xx_b + 2.0 * xx * xx_low,
        xxxy, ((xx_a * xy_a - xxxy) + xx_a * xy_b + xx_b * xy_a) + xx_b * xy_b + (xx * xy_low + xx_low * xy),
        xxyy, ((xx_a * yy_a - xxyy) + xx_a * yy_b + xx_b * yy_a) + xx_b * yy_b + (xx * yy_low + xx_low * yy),
        xyyy, ((xy_a * yy_a - xyyy) + xy_a * yy_b + xy_b * yy_a) + xy_b * yy_b + (xy * yy_low + xy_low * yy),
        yyyy, ((yy_a * yy_a - yyyy) + 2.0 * yy_a * yy_b) + yy_b * yy_b + 2.0 * yy * yy_low,
    )  # fmt: skip
