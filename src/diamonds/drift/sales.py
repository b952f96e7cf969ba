"""The prices paid beside what was quoted: the live error and coverage, held against the holdout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel

from diamonds.drift.rule import Rule
from diamonds.metrics import band_quality, errors

#: What is told of prices paid, beside the same of the holdout.
LIVE = ("mae", "mape", "bias", "coverage")


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
