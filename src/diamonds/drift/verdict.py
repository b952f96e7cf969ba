"""What follows from stones and sales: whether to retrain, and the report that says so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel

from diamonds.drift.rule import Rule
from diamonds.drift.sales import LiveQuotes
from diamonds.drift.stones import FeatureDrift


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
