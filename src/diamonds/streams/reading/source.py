"""Reads a feed in order, several pages at once, and gives only pages that can be believed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

from diamonds.streams.reading.anchor import Anchor
from diamonds.streams.reading.believing import Believer
from diamonds.streams.reading.client import PageClient, Sleep, Tell, tell_nobody
from diamonds.streams.reading.cursor import Cursor
from diamonds.streams.reading.gaps import Gaps
from diamonds.streams.reading.page import Page
from diamonds.streams.spec import FeedSpec


@dataclass(frozen=True)
class End:
    """There is nothing new in the feed at this moment."""

    cursor: Cursor


class Source:
    """A feed to learn from.

    Attributes:
        ignored: How many fields the pages had that the spec does not name.
        next_look_seconds: How long until the end is looked at again; None while there is more to read.
    """

    def __init__(
        self,
        spec: FeedSpec,
        url: str | None = None,
        *,
        in_flight: int | None = None,
        tell: Tell = tell_nobody,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Ask nothing yet.

        Args:
            spec: The feed.
            url: Where it is served, if not where the spec says.
            in_flight: How many pages are asked for at once, if not as the spec says.
            tell: Hears what happens: `retry`, `stall`, `recover`, `reread`, `gap`, `anchor`, each with its
                details.
            sleep: Waits before a page is asked for again.

        Raises:
            ConfigurationError: The address is none of HTTP.
        """
        self._spec = spec
        self._in_flight = in_flight or spec.in_flight
        self._client = PageClient(spec, url, connections=self._in_flight + 1, tell=tell, sleep=sleep)
        self._believer = Believer(spec, self._client, tell, sleep)
        self._anchor, self._gaps = Anchor(spec, self._believer, tell), Gaps(spec, tell)
        self._look = asyncio.Event()
        self.ignored = 0
        self.next_look_seconds: float | None = None

    @property
    def requests(self) -> int:
        """How many were made."""
        return self._client.requests

    @property
    def retries(self) -> int:
        """How many of them because one before had failed."""
        return self._client.retries

    async def __aenter__(self) -> Source:
        """Open the connections."""
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close them."""
        await self._client.__aexit__(kind, error, trace)

    def look_now(self) -> None:
        """Look at the end of the feed without waiting any longer; to be called in the loop that reads."""
        self._look.set()

    async def read_again(self, number: int) -> Page:
        """One page, as it can be believed now.

        Raises:
            FeedError: The feed refuses it.
        """
        return await self._believer.read(number, quietly=True)

    async def pages(self, cursor: Cursor, *, follow: bool) -> AsyncIterator[Page | End]:
        """The pages from the cursor on, each to be learned, in their order.

        Where rows before the cursor were removed from the feed, or inserted, it goes on with an earlier page: rows that
        were learned already come again.

        Args:
            cursor: Where to go on.
            follow: Whether to wait for more at the end, where `End` is given each time, or to stop there.

        Raises:
            FeedError: The feed refuses a page.
        """
        reading = _Reading(self._client, self._in_flight)
        self._gaps.begin(cursor)
        place = await self._anchor.hold(cursor, None)
        seen: Page | None = None  # the newest reading of a page that is not full
        before: Page | None = None  # the page that was given before this one
        looks = 0
        try:
            while True:
                page = await reading.page(place.page, alone=seen is not None)
                if page == seen:
                    looks += 1
                    self.next_look_seconds = self._pause(looks) if follow else None
                    yield End(place)
                    if not follow:
                        return
                    await self._wait_for_next_look()
                else:
                    page = await self._believed(page, before, place)
                moved = await self._moved(page, seen, before, place)
                if moved != place:
                    reading.drop()
                    place, seen, before = moved, None, None
                elif page != seen:
                    if not page.is_full:
                        reading.drop()
                    self._gaps.note(page, place.last_key)
                    self.ignored += max(0, page.ignored - (seen.ignored if seen else 0))
                    place = place.after(page, self._spec.key)
                    seen, before = (None, page) if page.is_full else (page, before)
                    if page.size:
                        looks, self.next_look_seconds = 0, None
                        yield page
        finally:
            reading.drop()

    async def _believed(self, page: Page, before: Page | None, place: Cursor) -> Page:
        """A page as it is to be expected after the one before, or else after it was read again."""
        key = self._spec.key
        last = max(before.keys(key), default=None) if before else place.last_key
        return await self._believer.believed(
            page, lambda read: not read.looks_wrong(key, last) and not _begins_early(read, before, place, key)
        )

    async def _moved(self, page: Page, seen: Page | None, before: Page | None, place: Cursor) -> Cursor:
        """Where to go on, where rows before the page were removed from the feed or inserted; else this place."""
        key, has_shrunk = self._spec.key, seen is not None and page.size < seen.size
        if _begins_early(page, before, place, key) or _begins_before(page, seen, key):
            return place if await self._anchor.is_held(place, before) else self._gaps.go_back(place)
        is_empty_still = page == seen and not page.size
        if not (has_shrunk or is_empty_still or page.begins_late(key, place.last_key)):
            return place
        moved = await self._anchor.hold(place, before)
        if moved != place:
            self._gaps.forget()
        return moved

    def _pause(self, looks: int) -> float:
        polling = self._spec.polling
        return min(polling.most_seconds, polling.first_seconds * polling.factor ** min(looks - 1, 100))

    async def _wait_for_next_look(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self.next_look_seconds):
                await self._look.wait()
        self._look.clear()


class _Reading:
    """Pages that are being asked for, ahead of the one that is wanted."""

    def __init__(self, client: PageClient, in_flight: int) -> None:
        self._client, self._in_flight = client, in_flight
        self._tasks: deque[tuple[int, asyncio.Task[Page]]] = deque()

    async def page(self, number: int, *, alone: bool) -> Page:
        """The page of this number; those after it are asked for meanwhile, unless it is to be alone."""
        if self._tasks and self._tasks[0][0] != number:
            self.drop()
        following = self._tasks[-1][0] + 1 if self._tasks else number
        last = number + (1 if alone else self._in_flight)
        for each in range(following, last):
            self._tasks.append((each, asyncio.create_task(self._client.fetch(each))))
        _, task = self._tasks[0]
        try:
            return await task
        finally:
            if task.done():
                self._tasks.popleft()

    def drop(self) -> None:
        """Ask no more for what was asked for ahead."""
        for _, task in self._tasks:
            task.cancel()
            task.add_done_callback(_forget)
        self._tasks.clear()


def _forget(task: asyncio.Task[Page]) -> None:
    """Look at what became of a page that nobody wants any more."""
    if not task.cancelled():
        task.exception()


def _begins_early(page: Page, before: Page | None, place: Cursor, key: str) -> bool:
    """Whether a page begins with a row that was on a page before, as far as is known."""
    last = place.last_key if place.key_page == place.page - 1 else None
    last = last if before is None else max(before.keys(key), default=last)
    return last is not None and min(page.keys(key), default=last + 1) <= last


def _begins_before(page: Page, seen: Page | None, key: str) -> bool:
    """Whether a page begins with a row that was before it when it was seen last."""
    found, known = page.keys(key), [] if seen is None else seen.keys(key)
    return bool(found) and bool(known) and min(found) < min(known)
