"""What a classifier says of itself: its coefficients on the features' own scales, and how far to trust them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diamonds.streams.learners import Coefficient
from diamonds.streams.science.drift import PageHinkley
from diamonds.streams.science.scores import ClassificationScores
from diamonds.streams.science.terms import names
from diamonds.streams.science.twins import BENT, STRAIGHT, Twins, interval

Array = NDArray[np.float64]

#: Groups are said to be apart from so many rows on, and so many of each: any few rows may be. On the processes of
#: `feeding.generators` that overlap it is known by row 175 at the latest, in 1,500 streams of each.
APART, OF_EACH = 300, 5
#: Of so many rows the prior is expected to show, and nothing is said of its pull.
ENOUGH = 500
#: The prior's pull, in standard errors, from which on it is said to limit the coefficients. On the processes of
#: `feeding.generators` that overlap it is below 0.4 at 1,000 rows, and less later.
PULL = 0.6
LIMITED = "coefficient size is limited by the prior, not by the data"
#: From this weight of the model of degree 2 on, a straight line is said not to be enough; and to be, from this one of
#: the straight model on.
LIKELY = 0.95


class LogitCoefficient(Coefficient):
    """One coefficient, in logits a unit of its term.

    Attributes:
        se_robust: The standard error that does not trust the model (sandwich); None of a model without one.
        odds_ratio: By what a unit more of the term multiplies the odds; None beyond what a float can hold.
    """

    se_robust: float | None
    odds_ratio: float | None


def coefficients(twins: Twins, features: Sequence[str], model: int) -> list[LogitCoefficient]:
    """Of one of the two models, on the features' own scales."""
    estimates, covariance = twins.raw(model)
    errors = np.sqrt(np.maximum(covariance.diagonal(), 0)).tolist()
    robust = _robust(twins) if model == STRAIGHT else [None] * len(errors)
    named = zip(names(features)[: len(errors)], estimates.tolist(), errors, robust, strict=True)
    return [_coefficient(*each) for each in named]


def statistics(
    twins: Twins, features: Sequence[str], target: str, scores: ClassificationScores, drift: PageHinkley
) -> dict[str, Any]:
    """All else that is known, and what is to be known of it in words."""
    rang, separated = drift.report(), is_separated(twins, scores)
    return {
        "squares_weight": twins.weight,
        "is_straight": None if separated else is_straight(twins, scores.rows),
        "separated": separated,
        "note": "; ".join(_notes(twins, target, scores, rang, separated=separated)),
        "calibration": scores.calibration(),
        "recent_calibration": scores.recent_calibration(),
        "drift": rang,
        "squares": coefficients(twins, features, BENT),
        "forget": twins.prior.forget,
        "scale": {
            feature: {"centre": centre, "sd": sd}
            for feature, centre, sd in zip(features, twins.terms.centres, twins.terms.scales, strict=True)
        },
    }


def is_separated(twins: Twins, scores: ClassificationScores) -> bool:
    """Whether a line parts yes from no in all rows so far: then no coefficients are the likeliest."""
    of_each = min(scores.positives, scores.rows - scores.positives)
    return scores.rows >= APART and of_each >= OF_EACH and not twins.separation.overlaps


def is_held_back(twins: Twins, rows: int) -> bool:
    """Whether the prior goes on pulling at the straight model's coefficients, for the groups hardly overlap.

    To first order, it holds the posterior's mean off the likeliest by covariance times prior precision times mean. What
    forgets remembers too few rows for that: there, any prior pulls.
    """
    if rows < ENOUGH or (1 - twins.prior.forget) * ENOUGH > 1:
        return False
    size = 1 + twins.features
    covariance, mean = twins.density.covariance[STRAIGHT, :size, :size], twins.density.mean[STRAIGHT, :size]
    pull = covariance @ (mean / twins.prior.variances(twins.features)[STRAIGHT, :size])
    return bool((np.abs(pull) > PULL * np.sqrt(covariance.diagonal())).any())


def is_straight(twins: Twins, rows: int) -> bool | None:
    """Whether a straight line is enough; None where that is not known.

    Where the prior holds the straight model back, the weights say which of two priors is nearer to a sharp rule.
    """
    if max(twins.weight, 1 - twins.weight) < LIKELY or is_held_back(twins, rows):
        return None
    return twins.weight < 0.5  # noqa: PLR2004 - the likelier of the two


def _notes(
    twins: Twins, target: str, scores: ClassificationScores, rang: dict[str, Any], *, separated: bool
) -> list[str]:
    notes = []
    if scores.rows and scores.positives in {0, scores.rows}:
        notes.append(f"{target} was the same in all {scores.rows:,} rows so far: nothing tells one from the other yet")
    elif separated or is_held_back(twins, scores.rows):
        notes.append(f"the two groups {'do not' if separated else 'hardly'} overlap; {LIMITED}")
    elif is_straight(twins, scores.rows) is False:
        notes.append("a straight line is not enough: the model with squares and products predicts better")
    if rang["alarm"]:
        notes.append(f"at row {rang['row']:,} predictions had become worse than before: {_advice(twins.prior.forget)}")
    return notes


def _advice(forget: float) -> str:
    """What helps in a world that changes."""
    if forget == 1:
        return "`forget` below 1 (such as 0.999) follows a world that changes"
    return f"with `forget` at {forget:g}, what was before fades within some {1 / (1 - forget):,.0f} rows"


def _robust(twins: Twins) -> list[float]:
    """Standard errors by the sandwich of the posterior's covariance around the squared errors of prediction."""
    size = 1 + twins.features
    bread = twins.terms.to_raw()[:size, :size] @ twins.density.covariance[STRAIGHT, :size, :size]
    variances = (bread @ twins.density.meat[:size, :size] @ bread.T).diagonal()
    found: list[float] = np.sqrt(np.maximum(variances, 0)).tolist()
    return found


def _coefficient(term: str, estimate: float, se: float, robust: float | None) -> LogitCoefficient:
    low, high = interval(estimate, se)
    odds_ratio = math.exp(estimate) if estimate < 700 else None  # noqa: PLR2004 - exp() of more overflows
    return {
        "term": term,
        "estimate": estimate,
        "se": se,
        "low": low,
        "high": high,
        "se_robust": robust,
        "odds_ratio": odds_ratio,
    }
