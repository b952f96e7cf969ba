"""Judging on stones of which only a block is in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial, reduce
from typing import Any

import numpy as np
import pandas as pd

from diamonds.blocks import Blocks, Part, current
from diamonds.blocks.table import chosen, likely_chosen, read
from diamonds.errors import ModelError
from diamonds.features import only_four_cs
from diamonds.metrics import Tally, segments
from diamonds.pricer import Pricer
from diamonds.schema import CARAT_BAND_NAMES, GRADES, frame_hash
from diamonds.stones import SortedStones

#: What is counted in each block: the kind of a segment, and its name.
Segment = tuple[str, str]
OVERALL, FOUR_CS = ("overall", ""), ("four_cs", "")


def evaluate(pricer: Pricer, holdout: Blocks) -> tuple[dict[str, Any], Blocks]:
    """The metrics of a pricer and its quotes, as `nodes.evaluate` has them; errors are exact, of all stones.

    Raises:
        ModelError: The model computes something that is no number.
    """
    # What it has learned from need not go to each worker.
    asked = replace(pricer, stones=SortedStones.of(pricer.stones.head(0)))
    quoted: Blocks = holdout.map(partial(_quoted, asked))
    pairs = list(zip(holdout.parts, quoted.parts, strict=True))
    tallies = reduce(_added, current().each(partial(_tallies, asked), pairs))
    by_segment: dict[str, dict[str, Any]] = {}
    for kind, name in _segment_names():
        if tally := tallies.get((kind, name)):
            by_segment.setdefault(kind, {})[name] = {"stones": tally.stones} | tally.quality()
    metrics = {
        "model": pricer.name,
        "version": pricer.version,
        "stones": len(holdout),
        "holdout": frame_hash(holdout),
        "overall": tallies[OVERALL].quality(),
        "four_cs": tallies[FOUR_CS].quality(),
        "segments": by_segment,
    }
    return metrics, quoted


def side_by_side(holdout: Blocks, quoted: Blocks, most: int | None, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """At most so many holdout stones, chosen as `Blocks.sample` does, and what was quoted for them.

    Raises:
        ModelError: The quotes are of other stones.
    """
    if [part.rows for part in holdout.parts] != [part.rows for part in quoted.parts]:
        raise ModelError(
            "the quotes are of other stones than the holdout: `kedro run --pipelines=evaluation` judges anew"
        )
    if most is None or most >= len(holdout):
        return holdout.frame(), quoted.frame()
    likely = [likely_chosen(len(holdout), most, seed, block) for block in holdout]
    quotes = [prices.loc[block.index] for block, prices in zip(likely, quoted, strict=True)]
    stones, prices = pd.concat(likely, ignore_index=True), pd.concat(quotes, ignore_index=True)
    places = chosen(stones, most, seed)
    return stones.iloc[places].reset_index(drop=True), prices.iloc[places].reset_index(drop=True)


def _quoted(pricer: Pricer, stones: pd.DataFrame) -> pd.DataFrame:
    quoted = pricer.price(stones)
    if not np.isfinite(quoted.to_numpy()).all():
        raise ModelError(f"{pricer.name} {pricer.version} computes prices that are no numbers")
    return quoted


def _tallies(pricer: Pricer, pair: tuple[Part, Part]) -> dict[Segment, Tally]:
    """All that is counted of a block, from its stones and what was quoted for them."""
    stones, quoted = map(read, pair)
    found = {
        OVERALL: Tally.of(stones["price"], quoted),
        FOUR_CS: Tally.of(stones["price"], pricer.price(only_four_cs(stones))),
    }
    for kind, name, members in segments(stones):
        found[kind, name] = Tally.of(stones.loc[members, "price"], quoted[members])
    return found


def _added(tallies: dict[Segment, Tally], others: dict[Segment, Tally]) -> dict[Segment, Tally]:
    both = tallies.keys() & others.keys()
    return tallies | others | {segment: tallies[segment] + others[segment] for segment in both}


def _segment_names() -> Iterator[Segment]:
    """As `metrics.segments` orders them."""
    yield from (("carat", band) for band in CARAT_BAND_NAMES)
    yield from ((field, grade) for field, grades in GRADES.items() for grade in grades)
