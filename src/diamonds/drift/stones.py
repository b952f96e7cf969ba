"""The stones of today beside those of the training, feature by feature."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel

from diamonds.drift.rule import Rule
from diamonds.schema import FEATURES, GRADES, MEASURES

NUMBERS = tuple(feature for feature in FEATURES if feature in MEASURES)
#: What each bin is given beforehand, in stones, so that an empty one has a share that divides.
SMOOTHING = 0.5


class FeatureDrift(BaseModel):
    """One feature of the stones of today beside the training's; without index and test where too few stones tell it.

    Attributes:
        stones: How many tell it.
        missing: How many do not.
        before: Its median among the training stones, or the commonest grade.
        now: The same of today.
        psi: The population stability index.
        test: Kolmogorov and Smirnov's of two samples, or chi-squared for grades.
        statistic: Of the test.
        p: Of the test.
        moved: Whether the index is as great as the rule says, and the test sure.
    """

    stones: int
    missing: int
    before: float | str | None
    now: float | str | None
    psi: float | None = None
    test: Literal["ks", "chi2"]
    statistic: float | None = None
    p: float | None = None
    moved: bool = False


def compare(training: pd.DataFrame, stones: pd.DataFrame, rule: Rule) -> dict[str, FeatureDrift]:
    """Each feature of the stones of today beside the training's.

    Args:
        training: The stones that the model learned from, with the columns `schema.FEATURES`.
        stones: Those of today; measurements that were not given are NaN.
        rule: How it is compared.
    """
    return {feature: _drift(feature, training[feature], stones[feature], rule) for feature in FEATURES}


def outside(training: Iterable[pd.DataFrame], stones: pd.DataFrame) -> float | None:
    """The share of stones of which any number lies beyond all of the training's (in blocks); None without a stone."""
    if stones.empty:
        return None
    limits = pd.concat([block[list(NUMBERS)].agg(["min", "max"]) for block in training])
    given = stones[list(NUMBERS)]
    beyond = given.lt(limits.min()) | given.gt(limits.max())
    return float(beyond.any(axis=1).mean())


def stability_index(before: NDArray[Any], now: NDArray[Any]) -> float:
    """The population stability index of two counts over the same bins: 0 where their shares are equal.

    The sum over bins of (q - p) log(q / p), which is symmetric: Jeffreys' divergence ("An invariant form for the prior
    probability in estimation problems", 1946). Each bin is given `SMOOTHING` stones beforehand; one that is empty in
    both counts for nothing. That 0.25 is a shift to act on is a custom of credit scoring (Siddiqi, Credit Risk
    Scorecards, 2006); of n stones without any drift it is about (bins - 1) / n (Yurdakul, Statistical Properties of
    Population Stability Index, 2018), so that it says nothing without a test beside it.

    >>> stability_index(np.array([500, 500]), np.array([50, 50]))
    0.0
    >>> round(stability_index(np.array([500, 500]), np.array([90, 10])), 2)
    0.85
    """
    either = (before + now) > 0
    p, q = ((counts[either] + SMOOTHING) / (counts[either] + SMOOTHING).sum() for counts in (before, now))
    return float(((q - p) * np.log(q / p)).sum())


def _drift(feature: str, training: pd.Series[Any], stones: pd.Series[Any], rule: Rule) -> FeatureDrift:
    now = stones.dropna()
    kind: Literal["ks", "chi2"] = "chi2" if feature in GRADES else "ks"
    usual = _commonest if feature in GRADES else _median
    drift = FeatureDrift(
        stones=len(now), missing=len(stones) - len(now), before=usual(training), now=usual(now), test=kind
    )
    if len(now) < rule.min_stones:
        return drift
    if feature in GRADES:
        counts = np.array([[int((of == grade).sum()) for grade in GRADES[feature]] for of in (training, now)])
        statistic, p = _chi_squared(counts)
    else:
        before, after = (of.to_numpy(dtype=float) for of in (training, now))
        counts = _binned(before, after, rule.bins)
        statistic, p = _kolmogorov_smirnov(before, after)
    psi = stability_index(counts[0], counts[1])
    moved = psi >= rule.psi and p < rule.surprise
    return drift.model_copy(update={"psi": psi, "statistic": statistic, "p": p, "moved": moved})


def _binned(training: NDArray[np.float64], now: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """How many of each sample lie in each bin (2 by bins), between quantiles of the training.

    A value that is several of the quantiles is a bin of its own: a constant has three, below, at and above it.
    """
    quantiles, times = np.unique(np.quantile(training, np.linspace(0, 1, bins + 1)), return_counts=True)
    repeated = quantiles[times > 1]
    cuts = np.unique(np.concatenate([quantiles[1:-1], repeated, np.nextafter(repeated, -np.inf)]))
    return np.array([np.bincount(np.searchsorted(cuts, of), minlength=len(cuts) + 1) for of in (training, now)])


def _kolmogorov_smirnov(training: NDArray[np.float64], now: NDArray[np.float64]) -> tuple[float, float]:
    """The greatest distance of two distribution functions, and its p-value, which ties make greater than it is."""
    from scipy.stats import ks_2samp

    found = ks_2samp(training, now, method="asymp")
    return float(found.statistic), float(found.pvalue)


def _chi_squared(counts: NDArray[np.int64]) -> tuple[float, float]:
    """Pearson's statistic of two counts of the same grades, and its p-value; grades that nobody has are left out."""
    from scipy.stats import chi2_contingency

    there = counts[:, counts.sum(axis=0) > 0]
    if there.shape[1] == 1:
        return 0.0, 1.0
    found = chi2_contingency(there)
    return float(found.statistic), float(found.pvalue)


def _median(values: pd.Series[float]) -> float | None:
    return float(values.median()) if len(values) else None


def _commonest(values: pd.Series[str]) -> str | None:
    return str(values.mode().iloc[0]) if len(values) else None
