"""Whether a model is still right: the stones of today beside those of its training, its live error, and a verdict."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from diamonds.metrics import band_quality, errors
from diamonds.schema import FEATURES, GRADES, MEASURES

NUMBERS = tuple(feature for feature in FEATURES if feature in MEASURES)
#: How many tests a verdict looks at: one a feature, and two of the prices paid.
LOOKS = len(FEATURES) + 2
#: What each bin is given beforehand, in stones, so that an empty one has a share that divides.
SMOOTHING = 0.5
#: What is told of prices paid, beside the same of the holdout.
LIVE = ("mae", "mape", "bias", "coverage")


class Rule(BaseModel, extra="forbid"):
    """When it is time to retrain.

    Attributes:
        psi: From which population stability index on a feature has moved, where a test is sure of it too.
        bins: How many bins of the training stones' quantiles the index of a number is taken over.
        false_alarms: The share of windows at most that may say yes though nothing has changed.
        min_stones: With fewer that tell a feature, nothing is said of it.
        min_sales: With fewer prices paid, nothing is said of the live error.
        error_loss: By how much the live error may exceed the holdout's, as a fraction of that.
        coverage_loss: By how much the share of prices inside the band may fall below the holdout's.
        resamples: How many times the prices paid are drawn anew.
        seed: Of the draws.
    """

    psi: float = Field(gt=0)
    bins: int = Field(ge=2, le=100)
    false_alarms: float = Field(ge=0.02, lt=0.5)
    min_stones: int = Field(ge=50)
    min_sales: int = Field(ge=30)
    error_loss: float = Field(ge=0)
    coverage_loss: float = Field(ge=0, lt=1)
    resamples: int = Field(ge=1000)
    seed: int

    @property
    def surprise(self) -> float:
        """The p-value that one test must fall below, so that all together raise no more false alarms than they may.

        Bonferroni's bound (Dunn, "Multiple comparisons among means", JASA 1961).
        """
        return self.false_alarms / LOOKS


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


class LiveQuotes(BaseModel):
    """How far quotes were from the prices paid, beside the holdout; no test where there are too few.

    Attributes:
        sold: How many prices paid were quoted by the champion.
        live: `LIVE` of them; none without a sale.
        holdout: `LIVE` of the holdout, in the mix of stones that were measured and of those that were not.
        error_p: Of the live error, where it does not exceed the holdout's by more than the rule allows.
        coverage_p: Of so few prices inside the band, where no more are missing than the rule allows.
        error_worse: Whether it is sure that it does exceed it.
        coverage_worse: Whether it is sure that more are missing.
    """

    sold: int
    live: dict[str, float] = {}
    holdout: dict[str, float] = {}
    error_p: float | None = None
    coverage_p: float | None = None
    error_worse: bool = False
    coverage_worse: bool = False


class Verdict(BaseModel):
    """Whether to retrain, and why, in one sentence."""

    retrain: Literal["yes", "no"]
    reason: str


class SoldDay(BaseModel):
    """The sales of one day in UTC: how many there were, and their mean error as a fraction of the price paid."""

    day: date
    sold: int
    mape: float


class Sales(LiveQuotes):
    """The live error of the champion's quotes, by day too, and how many sales say nothing of it.

    Attributes:
        others: How many were quoted by another model or version.
        unreadable: How many have a stone or a quote of which a part is masked.
        whole: Whether all of the window were read.
        days: The oldest first.
    """

    others: int
    unreadable: int
    whole: bool
    days: list[SoldDay]


class Report(Verdict):
    """What was found out of a window: the verdict on the champion, and all that it follows from.

    Attributes:
        at: When it was found out.
        since: The beginning of the window.
        until: Its end.
        model: The champion's name.
        version: Its version.
        stones: How many were compared.
        exchanges: In how many exchanges these and others were asked about.
        skipped: How many of those do not count, by why.
        whole: Whether all of the window was read.
        features: By name.
        outside: The share of stones of which a number lies beyond all of the training's.
        sales: The live error.
    """

    at: datetime
    since: datetime
    until: datetime
    model: str
    version: str
    stones: int
    exchanges: int
    skipped: dict[str, int]
    whole: bool
    features: dict[str, FeatureDrift]
    outside: float | None
    sales: Sales


def compare(training: pd.DataFrame, stones: pd.DataFrame, rule: Rule) -> dict[str, FeatureDrift]:
    """Each feature of the stones of today beside the training's.

    Args:
        training: The stones that the model learned from, with the columns `schema.FEATURES`.
        stones: Those of today; measurements that were not given are NaN.
        rule: How it is compared.
    """
    return {feature: _drift(feature, training[feature], stones[feature], rule) for feature in FEATURES}


def outside(training: pd.DataFrame, stones: pd.DataFrame) -> float | None:
    """The share of stones of which any number lies beyond all of the training's; None without a stone."""
    if stones.empty:
        return None
    known, given = training[list(NUMBERS)], stones[list(NUMBERS)]
    beyond = given.lt(known.min()) | given.gt(known.max())
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


def live_error(sales: pd.DataFrame, metrics: dict[str, Any], rule: Rule) -> LiveQuotes:
    """How far quotes were from prices paid, and whether that is surely more than on the holdout.

    The error in percent is judged, for it compares among stones of all prices: by a bootstrap of its mean (Efron and
    Tibshirani, An Introduction to the Bootstrap, 1993, chapter 16). Coverage is judged by the binomial distribution.

    Args:
        sales: `paid`, and the quote's `price`, `low`, `high` in dollars, and `measured`, whether nothing was assumed.
        metrics: The champion's, as the history keeps them.
        rule: What is allowed.
    """
    if sales.empty:
        return LiveQuotes(sold=0)
    paid, price = sales["paid"], sales["price"]
    found = errors(paid, price) | band_quality(paid, sales["low"], sales["high"])
    live = {name: found[name] for name in LIVE}
    error = LiveQuotes(sold=len(sales), live=live, holdout=_expected(sales["measured"], metrics))
    if len(sales) < rule.min_sales or not error.holdout:
        return error
    relative = ((price - paid) / paid).abs().to_numpy(dtype=float)
    error_p = _exceeds(relative, error.holdout["mape"] * (1 + rule.error_loss), rule)
    inside = int(paid.between(sales["low"], sales["high"]).sum())
    coverage_p = _misses(inside, len(sales), error.holdout["coverage"] - rule.coverage_loss)
    return error.model_copy(
        update={
            "error_p": error_p,
            "error_worse": error_p < rule.surprise,
            "coverage_p": coverage_p,
            "coverage_worse": coverage_p < rule.surprise,
        }
    )


def judge(features: dict[str, FeatureDrift], stones: int, live: LiveQuotes, rule: Rule) -> Verdict:
    """Whether to retrain: where a feature has moved, or the live error is surely worse than the holdout's.

    Args:
        features: As `compare` gives them.
        stones: How many were compared.
        live: As `live_error` gives it.
        rule: When.
    """
    if reasons := [*_moved(features), *_worse(live)]:
        return Verdict(retrain="yes", reason="; ".join(reasons))
    return Verdict(retrain="no", reason="; ".join(_still(stones, live, rule)))


def _moved(features: dict[str, FeatureDrift]) -> Iterator[str]:
    moved = {name: its.psi or 0.0 for name, its in features.items() if its.moved}
    if moved:
        ranked = sorted(moved, key=lambda name: -moved[name])
        named = ", ".join(f"{name} (PSI {moved[name]:.2f})" for name in ranked)
        yield f"the stones asked about are others than those of the training: {named}"


def _worse(live: LiveQuotes) -> Iterator[str]:
    if live.error_worse:
        yield (
            f"prices paid were {live.live['mape']:.1%} off the quotes instead of {live.holdout['mape']:.1%},"
            f" in {live.sold:,} sales"
        )
    if live.coverage_worse:
        yield (
            f"the band held {live.live['coverage']:.1%} of {live.sold:,} prices paid instead of"
            f" {live.holdout['coverage']:.1%}"
        )


def _still(stones: int, live: LiveQuotes, rule: Rule) -> Iterator[str]:
    if not stones:
        yield "nothing was asked"
    elif stones < rule.min_stones:
        yield f"too few stones were asked about to tell: {stones:,}, of the {rule.min_stones:,} that it takes"
    else:
        yield f"no feature of the {stones:,} stones asked about has moved from the training"
    if live.error_p is not None:
        yield f"the quotes of {live.sold:,} sales were as good as on the holdout"
    elif live.sold:
        yield f"too few were sold to tell: {live.sold:,}, of the {rule.min_sales:,} that it takes"


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


def _expected(measured: pd.Series[bool], metrics: dict[str, Any]) -> dict[str, float]:
    """`LIVE` of the holdout, as it is for stones of which so many are measured and the others are not."""
    overall = metrics.get("overall") or {}
    four_cs, share = metrics.get("four_cs") or overall, float(measured.mean())
    if not all(name in of for of in (overall, four_cs) for name in LIVE):
        return {}
    return {name: share * overall[name] + (1 - share) * four_cs[name] for name in LIVE}


def _exceeds(errors_of_each: NDArray[np.float64], bound: float, rule: Rule) -> float:
    """The share of resamples whose mean error is no more than the bound."""
    rng, count = np.random.default_rng(rule.seed), len(errors_of_each)
    means = np.array([errors_of_each[rng.integers(0, count, count)].mean() for _ in range(rule.resamples)])
    return (1 + int((means <= bound).sum())) / (1 + rule.resamples)


def _misses(inside: int, count: int, share: float) -> float:
    """How likely so few of so many lie inside a band that holds this share."""
    from scipy.stats import binomtest

    return float(binomtest(inside, count, min(max(share, 0.0), 1.0), alternative="less").pvalue)


def _median(values: pd.Series[float]) -> float | None:
    return float(values.median()) if len(values) else None


def _commonest(values: pd.Series[str]) -> str | None:
    return str(values.mode().iloc[0]) if len(values) else None
