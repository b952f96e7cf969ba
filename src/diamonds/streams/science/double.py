"""Double-double arithmetic: numbers of about 32 digits, each the unevaluated sum of two floats.

Sources: Dekker, "A floating-point technique for extending the available precision", Numerische Mathematik 1971;
Hida, Li and Bailey, "Library for double-double and quad-double arithmetic", 2007.
"""

from __future__ import annotations

#: Splits a float into two halves of 26 bits (Veltkamp).
SPLITTER = 134217729.0


class Double:
    """A number of about 32 digits: `high` is it as a float, `low` what that leaves.

    >>> tenth = Double(1.0) / 10
    >>> tenth.high, tenth.low
    (0.1, -5.551115123125783e-18)
    """

    __slots__ = ("high", "low")

    def __init__(self, high: float, low: float = 0.0) -> None:
        self.high = high
        self.low = low

    def __float__(self) -> float:
        return self.high

    def __repr__(self) -> str:
        return f"Double({self.high!r}, {self.low!r})"

    def __bool__(self) -> bool:
        return self.high != 0

    def __neg__(self) -> Double:
        return Double(-self.high, -self.low)

    def __add__(self, other: Double | float) -> Double:
        if isinstance(other, Double):
            other_high, other_low = other.high, other.low
        else:
            other_high, other_low = other, 0.0
        high = self.high
        total = high + other_high
        part = total - high
        rest = (high - (total - part)) + (other_high - part)
        low = self.low
        lows = low + other_low
        part = lows - low
        rest_of_lows = (low - (lows - part)) + (other_low - part)
        rest += lows
        high = total + rest
        rest = rest - (high - total) + rest_of_lows
        total = high + rest
        return Double(total, rest - (total - high))

    __radd__ = __add__

    def __sub__(self, other: Double | float) -> Double:
        return self + -other

    def __rsub__(self, other: float) -> Double:
        return -self + other

    def __mul__(self, other: Double | float) -> Double:
        a = self.high
        if isinstance(other, Double):
            b = other.high
            cross = a * other.low + self.low * b
        else:
            b = other
            cross = self.low * b
        product = a * b
        scaled = SPLITTER * a
        a_high = scaled - (scaled - a)
        a_low = a - a_high
        scaled = SPLITTER * b
        b_high = scaled - (scaled - b)
        b_low = b - b_high
        rest = (((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low) + cross
        total = product + rest
        return Double(total, rest - (total - product))

    __rmul__ = __mul__

    def __truediv__(self, other: Double | float) -> Double:
        divisor = float(other)
        first = self.high / divisor
        second = (self - other * Double(first)).high / divisor
        total = first + second
        return Double(total, second - (total - first))

    def __rtruediv__(self, other: float) -> Double:
        return Double(other) / self
