"""How far prices are off: errors in dollars and percent, overall and by segment."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from diamonds.schema import GRADES, carat_bands

#: The errors for which less is better; `r2` and `coverage` are not among them.
LESS_IS_BETTER = ("mae", "rmse", "mape")


def errors(actual: pd.Series[float], predicted: pd.Series[float]) -> dict[str, float]:
    """MAE, RMSE and bias in dollars, MAPE as a fraction, and R² of predicted prices.

    Bias is the mean of predicted minus actual: above 0, stones are priced too high. R² of a single price, or of
    equal ones, is undefined: NaN.

    >>> round(errors(pd.Series([100.0, 200.0]), pd.Series([110.0, 190.0]))["mape"], 3)
    0.075
    """
    error = predicted - actual
    spread = float(((actual - actual.mean()) ** 2).sum())
    return {
        "mae": float(error.abs().mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "r2": 1 - float((error**2).sum()) / spread if spread else float("nan"),
        "mape": float((error / actual).abs().mean()),
        "bias": float(error.mean()),
    }


def band_quality(actual: pd.Series[float], low: pd.Series[float], high: pd.Series[float]) -> dict[str, float]:
    """The share of prices inside their band, and the band's mean width as a fraction of its middle."""
    middle = np.sqrt(low * high)
    return {
        "coverage": float(actual.between(low, high).mean()),
        "width": float(((high - low) / middle).mean()),
    }


def segments(stones: pd.DataFrame) -> Iterable[tuple[str, str, pd.Series[bool]]]:
    """Each segment of these stones that is not empty: its kind, its name, and who belongs to it."""
    bands = carat_bands(stones["carat"])
    for band in sorted(bands.unique()):
        yield "carat", band, bands == band
    for field, grades in GRADES.items():
        for grade in grades:
            if (members := stones[field] == grade).any():
                yield field, grade, members
