"""A number that is seen with noise and walks slowly: where it is now, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from diamonds.streams.science.inference import watching_factor

#: What is seen is believed up to so many standard deviations from what was expected: a single blunder moves little.
BELIEVED = 3.0
#: The variance of the noise before any is seen, and of how many rows it is worth.
FIRST_NOISE, FIRST_ROWS = 0.1**2, 10
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
        self._walk = walk
        self.rows = 0
        self.level = 0.0
        self.variance = spread * spread
        self.noise = FIRST_NOISE

    @property
    def interval(self) -> tuple[float, float]:
        """Where a level that never moved is in 95 % of streams, though one looks after each row, from the first on."""
        away = watching_factor(self.rows) * math.sqrt(self.variance)
        return self.level - away, self.level + away

    def see(self, value: float) -> None:
        """Learn from one more."""
        expected = self.variance + self._walk
        total = expected + self.noise
        most = BELIEVED * math.sqrt(total)
        surprise = min(max(value - self.level, -most), most)
        gain = expected / total
        self.level += gain * surprise
        self.variance = expected * (1 - gain)
        self.noise += (max(surprise * surprise - expected, 0.0) - self.noise) / min(self.rows + FIRST_ROWS, NOISE_ROWS)
        self.rows += 1

    def dump(self) -> dict[str, Any]:
        """All that it holds, as JSON."""
        return {"rows": self.rows, "level": self.level, "variance": self.variance, "noise": self.noise}

    def load(self, document: Mapping[str, Any]) -> None:
        """Hold what `dump` gave."""
        self.rows, self.level = document["rows"], document["level"]
        self.variance, self.noise = document["variance"], document["noise"]
