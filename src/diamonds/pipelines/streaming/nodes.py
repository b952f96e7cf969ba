"""Learning from a feed to its end: what reads it and what remembers it is the datasets' part."""

import logging
from collections.abc import Iterator
from typing import Any

from diamonds.streams.running.catching_up import Batch

logger = logging.getLogger(__name__)


def learn(feed: Iterator[Batch]) -> Iterator[Batch]:
    """The batches of the feed, each of which is learned as it is saved, before the next one is read."""
    yield from feed


def summarise(stream: dict[str, Any]) -> dict[str, Any]:
    """What was learned: how far it is, and of each learner its coefficients, scores, statistics and verdict."""
    logger.info(
        "%s is caught up: %s rows learned, %s rejected; the next batch begins with page %s",
        *(stream["feed"], f"{stream['rows']:,}", f"{stream['rejected']:,}", f"{stream['page']:,}"),
    )
    facts = {name: value for name, value in stream.items() if name not in {"coefficients", "statistics"}}
    learners = {name: _learner(stream, name) for name in stream["statistics"]}
    return facts | {"learners": learners}


def _learner(stream: dict[str, Any], name: str) -> dict[str, Any]:
    statistics = dict(stream["statistics"][name])
    taken = {part: statistics.pop(part) for part in ("scores", "verdict") if part in statistics}
    return {"coefficients": stream["coefficients"][name]} | taken | {"statistics": statistics}
