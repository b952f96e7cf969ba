"""Price bands that hold with a stated confidence, learned from errors on stones that the model did not see."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from diamonds.schema import CARAT_BAND_NAMES, CARAT_BANDS, carat_bands

#: A carat band with fewer calibration stones than this uses the quantiles of all stones.
FEWEST_STONES = 100
ANY_CARAT = "any"


@dataclass(frozen=True)
class ConformalBand:
    """A conformal band on relative error, calibrated apart in each carat band.

    The residuals log(actual / predicted) come from cross-validation: no stone is judged by a model that was
    fitted to it. Their lower and upper quantiles, with the finite-sample correction of split conformal
    prediction, are factors of the price. Sources: Lei et al., "Distribution-free predictive inference for
    regression", JASA 2018; the groups after Vovk, "Conditional validity of inductive conformal predictors",
    ACML 2012.

    Attributes:
        confidence: The share of prices that should fall inside, between 0 and 1.
        factors: For each carat band, and for `ANY_CARAT`, the lower and the upper factor.
    """

    confidence: float
    factors: dict[str, tuple[float, float]]

    @classmethod
    def calibrate(
        cls,
        carat: pd.Series[float],
        actual: pd.Series[float],
        predicted: pd.Series[float],
        confidence: float,
    ) -> Self:
        """Learn the factors from out-of-fold predictions (all series aligned, prices in dollars)."""
        residuals = (actual / predicted).transform(np.log)
        groups = residuals.groupby(carat_bands(carat))
        factors = {ANY_CARAT: _factors(residuals, confidence)} | {
            str(band): _factors(group, confidence) for band, group in groups if len(group) >= FEWEST_STONES
        }
        return cls(confidence, factors)

    def around(self, other: Self) -> Self:
        """The narrowest band that holds both; its confidence is this one's."""
        bands = {band: (self._of(band), other._of(band)) for band in {**self.factors, **other.factors}}
        factors = {band: (min(a[0], b[0]), max(a[1], b[1])) for band, (a, b) in bands.items()}
        return type(self)(self.confidence, factors)

    def bounds(self, carat: pd.Series[float], price: pd.Series[float]) -> tuple[pd.Series[float], pd.Series[float]]:
        """The low and the high price in dollars around each price."""
        low, high = self.factors_of(carat.to_numpy(dtype=float))
        return price * low, price * high

    def factors_of(self, carat: NDArray[Any]) -> NDArray[np.float64]:
        """The lower and the upper factor of stones of these weights (2 by stones)."""
        return np.array(self._by_band)[np.searchsorted(CARAT_BANDS, carat, side="right") - 1].T

    def factors_of_one(self, carat: float) -> tuple[float, float]:
        """The lower and the upper factor of a stone of this weight."""
        return self._by_band[bisect_right(CARAT_BANDS, carat) - 1]

    @cached_property
    def _by_band(self) -> list[tuple[float, float]]:
        """The two factors of each of the carat bands."""
        return [self._of(band) for band in CARAT_BAND_NAMES]

    def _of(self, band: str) -> tuple[float, float]:
        return self.factors.get(band, self.factors[ANY_CARAT])


def _factors(residuals: pd.Series[float], confidence: float) -> tuple[float, float]:
    """The two factors that hold `confidence` of the residuals; they always hold the price itself."""
    ordered = np.sort(residuals.to_numpy())
    count = len(ordered)
    tail = (1 - confidence) / 2
    below = max(int(np.floor(tail * (count + 1))) - 1, 0)
    above = min(int(np.ceil((1 - tail) * (count + 1))) - 1, count - 1)
    return min(float(np.exp(ordered[below])), 1.0), max(float(np.exp(ordered[above])), 1.0)
