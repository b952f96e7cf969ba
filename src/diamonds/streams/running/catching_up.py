"""Reads a feed to its end, batch by batch, and stops there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diamonds.errors import FeedError
from diamonds.streams.reading.cursor import Cursor
from diamonds.streams.reading.page import Page
from diamonds.streams.spec import FeedSpec

if TYPE_CHECKING:
    from diamonds.streams.reading.source import End, Source

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batch:
    """Pages to be learned together.

    Attributes:
        version: Of the checkpoint from which they were read on.
        pages: In their order.
    """

    version: int
    pages: Sequence[Page]


def batches(
    spec: FeedSpec, cursor: Cursor, *, url: str | None, pages_a_batch: int, make_source: Callable[..., Source]
) -> Iterator[list[Page]]:
    """The pages from the cursor to the end, so many at once.

    Raises:
        FeedError: After the pages that came before: the feed refuses a page, or does not answer for a while, for nobody
            watches, so that it is not waited for.
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
            error: FeedError | None = None
            while error is None:
                batch, error = loop.run(_next(items, pages_a_batch))
                if batch:
                    yield batch
                elif error is None:
                    return
            raise error
        finally:
            loop.run(source.__aexit__(None, None, None))


async def _next(items: AsyncIterator[Page | End], most: int) -> tuple[list[Page], FeedError | None]:
    """The pages of a batch, and what went wrong after them."""
    batch: list[Page] = []
    try:
        async for item in items:
            if not isinstance(item, Page):
                break
            batch.append(item)
            if len(batch) == most:
                break
    except FeedError as error:
        return batch, error
    return batch, None
