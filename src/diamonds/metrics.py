"""How far prices are off: errors in dollars and percent, overall and by segment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from diamonds.schema import GRADES, carat_bands

#: Of the interval around a gain.
CONFIDENCE = 0.95


def errors(actual: pd.Series[float], predicted: pd.Series[float]) -> dict[str, float]:
    """MAE, RMSE and bias in dollars, MAPE as a fraction, and R² of predicted prices.

    Bias is the mean of predicted minus actual: above 0, stones are priced too high. R² is left out where it is
    undefined: of a single price, or of equal ones.

    >>> round(errors(pd.Series([100.0, 200.0]), pd.Series([110.0, 190.0]))["mape"], 3)
    0.075
    """
    error = predicted - actual
    spread = float(((actual - actual.mean()) ** 2).sum())
    found = {
        "mae": float(error.abs().mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "mape": float((error / actual).abs().mean()),
        "bias": float(error.mean()),
    }
    return found | {"r2": 1 - float((error**2).sum()) / spread} if spread else found


def band_quality(actual: pd.Series[float], low: pd.Series[float], high: pd.Series[float]) -> dict[str, float]:
    """The share of prices inside their band, and the band's mean width as a fraction of its middle."""
    middle = np.sqrt(low * high)
    return {
        "coverage": float(actual.between(low, high).mean()),
        "width": float(((high - low) / middle).mean()),
    }


@dataclass(frozen=True)
class Tally:
    """What `errors` and `band_quality` follow from, and what can be added up over blocks of stones.

    Source of the merging of spreads: Chan, Golub and LeVeque, "Algorithms for computing the sample variance", The
    American Statistician 1983.

    Attributes:
        stones: How many.
        sums: Of the error, its size, its square, its share of the price, of prices inside the band, and of its width.
        mean: Of the prices.
        spread: The sum of their squared distances from the mean.
    """

    stones: int
    sums: NDArray[np.float64]
    mean: float
    spread: float

    @classmethod
    def of(cls, actual: pd.Series[float], quoted: pd.DataFrame) -> Tally:
        """Of prices in dollars, and what is quoted for them: `price`, `low`, `high`."""
        price, (computed, low, high) = actual.to_numpy(dtype=float), quoted[["price", "low", "high"]].to_numpy().T
        error, inside = computed - price, (price >= low) & (price <= high)
        of_each = [error, np.abs(error), error**2, np.abs(error / price), inside, (high - low) / np.sqrt(low * high)]
        mean = float(price.mean())
        return cls(len(price), np.array([values.sum() for values in of_each]), mean, float(((price - mean) ** 2).sum()))

    def __add__(self, other: Tally) -> Tally:
        """Of the stones of both."""
        stones = self.stones + other.stones
        between = (other.mean - self.mean) ** 2 * self.stones * other.stones / stones
        mean = self.mean + (other.mean - self.mean) * other.stones / stones
        return Tally(stones, self.sums + other.sums, mean, self.spread + other.spread + between)

    def quality(self) -> dict[str, float]:
        """What `errors` and `band_quality` say, by the same names."""
        bias, mae, square, mape, coverage, width = (self.sums / self.stones).tolist()
        found = {"mae": mae, "rmse": square**0.5, "mape": mape, "bias": bias}
        r2 = {"r2": 1 - float(self.sums[2]) / self.spread} if self.spread else {}
        return found | r2 | {"coverage": coverage, "width": width}


@dataclass(frozen=True)
class PairedGain:
    """By how much one set of prices errs less than another on the same stones, as a share of the other's error.

    Attributes:
        gain: On the stones as they are; below 0, it errs more.
        low: The lower end of the interval that holds the gain with `CONFIDENCE`.
        high: Its upper end.
        sureness: The share of resamples in which the gain was more than was asked for.
    """

    gain: float
    low: float
    high: float
    sureness: float


def paired_gain(prices: pd.DataFrame, metric: str, *, more_than: float, resamples: int, seed: int) -> PairedGain:
    """Compare two sets of prices by a paired bootstrap over stones.

    The same resampled stones judge both, so that what makes a stone hard to price counts for neither. The interval
    is the percentile interval (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).

    Args:
        prices: The columns `actual`, `challenger` and `champion`, in dollars, a row a stone.
        metric: `mae`, `rmse` or `mape`.
        more_than: The gain that `sureness` asks for.
        resamples: How many times the stones are drawn anew.
        seed: Of the draws.
    """
    losses = np.column_stack([_loss(prices[name], prices["actual"], metric) for name in ("challenger", "champion")])
    rng = np.random.default_rng(seed)
    count = len(losses)
    means = np.array([losses[rng.integers(0, count, count)].mean(axis=0) for _ in range(resamples)])
    gains = _gain(means, metric)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(gains, [tail, 1 - tail])
    return PairedGain(
        gain=float(_gain(losses.mean(axis=0), metric)),
        low=float(low),
        high=float(high),
        sureness=float((gains > more_than).mean()),
    )


def _loss(price: pd.Series[float], actual: pd.Series[float], metric: str) -> NDArray[np.float64]:
    """What each stone adds to the metric: its mean over stones is the metric, or the metric's square for RMSE."""
    error = np.asarray(price - actual, dtype=np.float64)
    if metric == "rmse":
        return error**2
    return np.abs(error) / np.asarray(actual, dtype=np.float64) if metric == "mape" else np.abs(error)


def _gain(means: NDArray[np.float64], metric: str) -> NDArray[np.float64]:
    """The gain from mean losses whose last axis holds the challenger's and the champion's."""
    challenger, champion = means[..., 0], means[..., 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(champion > 0, challenger / champion, np.where(challenger > 0, np.inf, 1.0))
    return 1 - (np.sqrt(ratio) if metric == "rmse" else ratio)


def segments(stones: pd.DataFrame) -> Iterable[tuple[str, str, pd.Series[bool]]]:
    """Each segment of these stones that is not empty: its kind, its name, and who belongs to it."""
    bands = carat_bands(stones["carat"])
    for band in sorted(bands.unique()):
        yield "carat", band, bands == band
    for field, grades in GRADES.items():
        for grade in grades:
            if (members := stones[field] == grade).any():
                yield field, grade, members
