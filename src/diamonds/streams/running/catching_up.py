"""Reads a feed to its end, batch by batch, and stops there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from diamonds.errors import FeedError
from diamonds.streams.reading.cursor import Cursor
from diamonds.streams.reading.page import Page
from diamonds.streams.spec import FeedSpec

if TYPE_CHECKING:
    from diamonds.streams.reading.source import End, Source

logger = logging.getLogger(__name__)


def batches(
    spec: FeedSpec, cursor: Cursor, *, url: str | None, pages_a_batch: int, make_source: Callable[..., Source]
) -> Iterator[list[Page]]:
    """The pages from the cursor to the end, so many at once.

    Raises:
        FeedError: The feed refuses a page, or does not answer for a while: nobody watches, so it is not waited for.
    """

    def hear(kind: str, detail: Mapping[str, Any]) -> None:
        if kind == "stall":
            raise FeedError(
                f"{spec.name} is not to be had at {url or spec.url}, {detail['why']};"
                " start it, or give its address with --params=url=…"
            )
        if kind in {"anchor", "gap"}:
            logger.warning("%s: %s", spec.name, detail["why"])

    with asyncio.Runner() as loop:
        source = make_source(spec, url, tell=hear)
        loop.run(source.__aenter__())
        items = source.pages(cursor, follow=False)
        try:
            while batch := loop.run(_next(items, pages_a_batch)):
                yield batch
        finally:
            loop.run(source.__aexit__(None, None, None))


async def _next(items: AsyncIterator[Page | End], most: int) -> list[Page]:
    batch: list[Page] = []
    async for item in items:
        if not isinstance(item, Page):
            break
        batch.append(item)
        if len(batch) == most:
            break
    return batch
