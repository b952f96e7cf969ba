"""Where a model is known to do worse than overall, as its own metrics by segment say."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from diamonds.service.wording import count, known, percent, segment

#: A segment with fewer holdout stones says too little.
FEWEST_STONES = 50
#: An error is worse from so many times the overall one on.
WORSE = 1.25
#: How many standard errors of a share coverage may be too low by chance.
CHANCE = 3.0
MOST = 5


@dataclass(frozen=True)
class Weakness:
    """A segment that is priced worse: by how many times, and in a sentence."""

    times: float
    sentence: str


def weaknesses(metrics: Mapping[str, Any], confidence: float) -> list[str]:
    """What to know before a price is relied on, the worst first.

    Args:
        metrics: As the history keeps them: `overall`, `four_cs` and `segments`.
        confidence: The share of prices that the band is meant to hold.
    """
    found = sorted(_found(metrics, confidence), key=lambda weakness: -weakness.times)
    return [weakness.sentence for weakness in found[:MOST]]


def _found(metrics: Mapping[str, Any], confidence: float) -> Iterator[Weakness]:
    usual = (metrics.get("overall") or {}).get("mape")
    if not known(usual) or not usual:
        return
    bare = (metrics.get("four_cs") or {}).get("mape")
    if known(bare) and bare >= WORSE * usual:
        yield Weakness(
            bare / usual, f"Without measurements, prices are off by {percent(bare)} on average, not {percent(usual)}."
        )
    for kind, segments in (metrics.get("segments") or {}).items():
        for name, found in segments.items():
            if found.get("stones", 0) >= FEWEST_STONES:
                yield from _of_segment(segment(name, kind), found, usual, confidence)


def _of_segment(stones: str, found: Mapping[str, Any], usual: float, confidence: float) -> Iterator[Weakness]:
    error, coverage, number = found.get("mape"), found.get("coverage"), found["stones"]
    times = error / usual if known(error) else 1.0
    told = []
    if times >= WORSE:
        told.append(f"prices are off by {percent(error)} on average, {times:.1f} times the usual {percent(usual)}")
    if known(coverage) and coverage < confidence - CHANCE * math.sqrt(confidence * (1 - confidence) / number):
        told.append(f"the {confidence:.0%} band holds only {percent(coverage)} of prices".replace("%", " %", 1))
        times = max(times, (1 - coverage) / (1 - confidence))
    if told:
        yield Weakness(times, f"{stones[0].upper()}{stones[1:]}: {'; '.join(told)} ({count(number)} judged).")
