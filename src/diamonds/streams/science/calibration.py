"""Whether what is said to come true in so many of a hundred cases does."""

from __future__ import annotations

import math
from typing import TypedDict

#: Bins of the calibration.
DECILES = 10
#: Of a normal distribution, 95 % lies within so many standard deviations.
Z95 = 1.959963984540054


class CalibrationBin(TypedDict):
    """The rows whose probability was from `low` to `high`: what was predicted beside what came, with its 95 % bar."""

    low: float
    high: float
    rows: int
    predicted: float | None
    observed: float | None
    observed_low: float | None
    observed_high: float | None


def calibration_bin(place: int, rows: float, predicted: float, yeses: float) -> CalibrationBin:
    """One of ten, of so many rows, by the sum of their probabilities and how many were a yes."""
    low, high = wilson(yeses, int(rows)) if rows else (None, None)
    return {
        "low": place / DECILES,
        "high": (place + 1) / DECILES,
        "rows": int(rows),
        "predicted": predicted / rows if rows else None,
        "observed": yeses / rows if rows else None,
        "observed_low": low,
        "observed_high": high,
    }


def wilson(successes: float, rows: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927), which stays within 0 and 1 however few the rows are.

    >>> [round(end, 3) for end in wilson(8, 10)]
    [0.49, 0.943]
    """
    share, pull = successes / rows, Z95**2 / rows
    middle = (share + pull / 2) / (1 + pull)
    half = Z95 * math.sqrt(share * (1 - share) / rows + pull / (4 * rows)) / (1 + pull)
    return max(middle - half, 0.0), min(middle + half, 1.0)
