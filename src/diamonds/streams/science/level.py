"""A number that is seen with noise and walks slowly: where it is now, and how sure that is.

How large the noise is, the first rows say. They are kept until there are enough of them, and then filtered anew: a
filter that begins with a guess that is too small is deceived by its first rows, and stays so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median, pstdev
from typing import Any

from diamonds.streams.science.inference import watching_factor

#: What is seen is believed up to so many standard deviations from what was expected: a single blunder moves little.
BELIEVED = 3.0
#: The variance of the noise until so many rows were seen: more than there will be.
FIRST_NOISE, FIRST_ROWS = 1.0**2, 30
#: Fewer rows say nothing of how far they scatter.
FEW = 10
#: The least variance of the noise that is believed.
LEAST_NOISE = 1e-8
#: Of a normal distribution, the standard deviation in median absolute deviations.
MEDIAN_DEVIATIONS = 1.482602218505602
#: The noise is taken over about so many of the newest rows.
NOISE_ROWS = 1000


class Level:
    """The local level model, filtered row by row (Durbin and Koopman, "Time series analysis by state space methods").

    It begins near 0. Surprises beyond `BELIEVED` standard deviations count as if they were that large (Masreliez and
    Martin, "Robust Bayesian estimation for the linear model and robustifying the Kalman filter", IEEE Transactions on
    Automatic Control 1977).

    Attributes:
        rows: How many were seen.
        level: Where it is.
        variance: Of that.
        noise: The variance of what is seen about the level.
    """

    def __init__(self, walk: float, spread: float) -> None:
        """Begin near 0.

        Args:
            walk: The variance that the level gains with each row.
            spread: The standard deviation of where it begins.
        """
        self._walk, self._spread = walk, spread
        self.noise = FIRST_NOISE
        self._first: list[float] | None = []
        self._begin()

    def _begin(self) -> None:
        self.rows = 0
        self.level = 0.0
        self.variance = self._spread**2

    @property
    def scatter(self) -> float:
        """The standard deviation of what is seen about the level; of a few rows, more than it will be."""
        return math.sqrt(self.noise if self._first is None or len(self._first) < FEW else _noise_of(self._first))

    @property
    def interval(self) -> tuple[float, float]:
        """Where a level that never moved is in 95 % of streams, though one looks after each row, from the first on."""
        away = watching_factor(self.rows) * math.sqrt(self.variance)
        return self.level - away, self.level + away

    def see(self, value: float) -> None:
        """Learn from one more."""
        self._follow(value)
        if self._first is not None:
            self._first.append(value)
            if self.rows == FIRST_ROWS:
                self._begin_anew(self._first)

    def _begin_anew(self, first: list[float]) -> None:
        """Filter the first rows again, now that their noise is known."""
        self._begin()
        self.noise = _noise_of(first)
        for value in first:
            self._follow(value)
        self._first = None

    def _follow(self, value: float) -> None:
        expected = self.variance + self._walk
        total = expected + self.noise
        most = BELIEVED * math.sqrt(total)
        surprise = min(max(value - self.level, -most), most)
        gain = expected / total
        self.level += gain * surprise
        self.variance = expected * (1 - gain)
        self.rows += 1
        if self._first is None:
            self.noise += (max(surprise * surprise - expected, 0.0) - self.noise) / min(self.rows, NOISE_ROWS)
            self.noise = max(self.noise, LEAST_NOISE)

    def dump(self) -> dict[str, Any]:
        """All that it holds, as JSON."""
        return {
            "rows": self.rows, "level": self.level, "variance": self.variance, "noise": self.noise,
            "first": None if self._first is None else list(self._first),
        }  # fmt: skip

    def load(self, document: Mapping[str, Any]) -> None:
        """Hold what `dump` gave."""
        self.rows, self.level = document["rows"], document["level"]
        self.variance, self.noise = document["variance"], document["noise"]
        first = document["first"]
        self._first = None if first is None else list(first)


def _noise_of(values: Sequence[float]) -> float:
    """Their variance about the median, those far out counted as if they were `BELIEVED` standard deviations away."""
    middle = median(values)
    away = [abs(value - middle) for value in values]
    most = BELIEVED * (MEDIAN_DEVIATIONS * median(away) or pstdev(values))
    return max(sum(min(each, most) ** 2 for each in away) / (len(values) - 1), LEAST_NOISE)
