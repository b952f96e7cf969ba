"""The newest predictions of a yes and what came, small enough to be written down with each batch.

Each probability is kept as its place on a scale of two thousand steps, which are equal in arcsin √p: to within 0.0004,
and finer near 0 and 1. No step reaches over a border of the calibration's bins.
"""

from __future__ import annotations

import math
import string
from bisect import bisect_right

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diamonds.streams.science.calibration import DECILES, CalibrationBin, calibration_bin

#: Steps of the scale, without those that borders of bins add.
STEPS = 2000
_BORDERS = sorted(
    {math.sin(math.pi / 2 * step / STEPS) ** 2 for step in range(1, STEPS)}
    | {decile / DECILES for decile in range(1, DECILES)}
)
_ENDS = np.array([0.0, *_BORDERS, 1.0])
#: The probability that each step stands for, and the bin of the calibration that it lies in.
_MIDDLES = (_ENDS[:-1] + _ENDS[1:]) / 2
_BINS = (_MIDDLES * DECILES).astype(int)
#: A row is written as two of these: twice its step, and 1 more where a yes came.
_DIGITS = string.ascii_letters + string.digits + "+/"


class Newest:
    """The last rows that were scored."""

    def __init__(self) -> None:
        """There are none yet."""
        self._codes: list[int] = []

    def add(self, probability: float, outcome: bool, keep: int) -> None:  # noqa: FBT001 - what came
        """Add one, and keep so many."""
        self._codes.append(2 * bisect_right(_BORDERS, probability) + outcome)
        del self._codes[:-keep]

    def auc(self) -> float | None:
        """The area under the ROC curve; None where only one outcome came."""
        noes, yeses = np.bincount(self._codes, minlength=2 * len(_MIDDLES)).reshape(-1, 2).T
        return area(noes, yeses)

    def calibration(self) -> list[CalibrationBin]:
        """Ten bins of the probability."""
        steps, outcomes = np.divmod(np.array(self._codes, dtype=int), 2)
        bins = _BINS[steps]
        sums = (np.bincount(bins, each, DECILES).tolist() for each in (np.ones(len(bins)), _MIDDLES[steps], outcomes))
        return [calibration_bin(place, *of_bin) for place, of_bin in enumerate(zip(*sums, strict=True))]

    def of_base_rate(self, rows: int, yeses: int) -> tuple[float | None, float | None]:
        """The mean log loss and Brier score of having said, of each, the share of yeses in all rows before.

        Args:
            rows: How many there were, these among them.
            yeses: How many of all were a yes.
        """
        if not self._codes:
            return None, None
        outcomes = np.array(self._codes) % 2
        seen = rows - len(outcomes) + np.arange(len(outcomes))
        of_them = yeses - outcomes.sum() + np.cumsum(outcomes) - outcomes
        rates = (of_them + 1) / (seen + 2)
        chances = np.where(outcomes, rates, 1 - rates)
        return float(-np.log(chances).mean()), float(((1 - chances) ** 2).mean())

    def dump(self) -> str:
        """Two letters a row."""
        return "".join(_DIGITS[code // 64] + _DIGITS[code % 64] for code in self._codes)

    def load(self, written: str) -> None:
        """Hold what `dump` gave."""
        places = [_DIGITS.index(digit) for digit in written]
        self._codes = [64 * high + low for high, low in zip(places[::2], places[1::2], strict=True)]


def area(noes: ArrayLike, yeses: ArrayLike) -> float | None:
    """The area under the ROC curve by how many noes and yeses there were at each probability, the least one first.

    It is how often a yes was given a greater probability than a no; equal ones count half. None where only one came.
    """
    of_no: NDArray[np.int64] = np.asarray(noes)
    of_yes: NDArray[np.int64] = np.asarray(yeses)
    pairs = int(of_no.sum()) * int(of_yes.sum())
    won = int((of_yes * (2 * (np.cumsum(of_no) - of_no) + of_no)).sum())
    return won / (2 * pairs) if pairs else None
