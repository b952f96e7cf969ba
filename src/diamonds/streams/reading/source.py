"""Reads a feed in order, several pages at once, and gives only pages that can be believed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

from diamonds.streams.reading.client import FIRST_PAUSE, PageClient, Sleep, Tell, tell_nobody
from diamonds.streams.reading.cursor import Cursor
from diamonds.streams.reading.page import Page
from diamonds.streams.spec import FeedSpec

#: A page that looks wrong is believed after so many readings that agree.
READINGS = 3
#: So many looks at the end without news, and it is checked that the feed is still what it was before the cursor.
LOOKS_BETWEEN_CHECKS = 100
REMOVED = (
    "rows before the cursor were removed from the feed; what was learned stays, and reading goes on where they end"
)


@dataclass(frozen=True)
class End:
    """There is nothing new in the feed at this moment."""

    cursor: Cursor


class Source:
    """A feed to learn from.

    Attributes:
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
            tell: Hears what happens: `retry`, `stall`, `recover`, `reread`, `anchor`, each with its details.
            sleep: Waits before a page is asked for again.

        Raises:
            ConfigurationError: The address is none of HTTP.
        """
        self._spec, self._tell, self._sleep = spec, tell, sleep
        self._in_flight = in_flight or spec.in_flight
        self._client = PageClient(spec, url, connections=self._in_flight + 1, tell=tell, sleep=sleep)
        self._look = asyncio.Event()
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
        page = await self._client.fetch(number)
        return await self._believed(page, None)

    async def pages(self, cursor: Cursor, *, follow: bool) -> AsyncIterator[Page | End]:
        """The pages from the cursor on, each to be learned, in their order.

        Where rows before the cursor were removed from the feed, it begins with an earlier page: rows that were learned
        already come again.

        Args:
            cursor: Where to go on.
            follow: Whether to wait for more at the end, where `End` is given each time, or to stop there.

        Raises:
            FeedError: The feed refuses a page.
        """
        reading = _Reading(self._client, self._in_flight)
        place = Cursor(await self._anchored(cursor), cursor.last_key)
        seen: Page | None = None  # the newest reading of a page that is not full
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
                    if looks % LOOKS_BETWEEN_CHECKS or (found := await self._anchored(place)) == place.page:
                        continue
                    place, seen = Cursor(found, place.last_key), None
                    continue
                if page.looks_wrong(self._spec.key, place.last_key):
                    page = await self._believed(page, place.last_key)
                if self._has_moved(page, seen, place) and (found := await self._anchored(place)) < place.page:
                    reading.drop()
                    place, seen = Cursor(found, place.last_key), None
                    continue
                if not page.is_full:
                    reading.drop()
                seen, is_news = (None if page.is_full else page), page != seen and page.size > 0
                looks = 0 if is_news else looks
                place = Cursor(page.next_page, _greatest(page, self._spec.key, place.last_key))
                if is_news:
                    self.next_look_seconds = None
                    yield page
        finally:
            reading.drop()

    def _has_moved(self, page: Page, seen: Page | None, place: Cursor) -> bool:
        """Whether rows before the page may have been removed from the feed."""
        has_shrunk = seen is not None and page.size < seen.size
        return has_shrunk or page.begins_late(self._spec.key, place.last_key)

    def _pause(self, looks: int) -> float:
        polling = self._spec.polling
        return min(polling.most_seconds, polling.first_seconds * polling.factor ** min(looks - 1, 100))

    async def _wait_for_next_look(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self.next_look_seconds):
                await self._look.wait()
        self._look.clear()

    async def _believed(self, page: Page, last_key: int | None) -> Page:
        """A page that looks wrong, read again until it does not, or until enough readings agree."""
        readings: list[Page] = []
        pause = FIRST_PAUSE
        while page.looks_wrong(self._spec.key, last_key):
            readings.append(page)
            if readings.count(page) >= READINGS:
                break
            if len(readings) > READINGS:  # it keeps changing: it is left some time
                await self._sleep(pause)
                pause = min(2 * pause, self._spec.polling.most_seconds)
                del readings[: -2 * READINGS]
            self._tell("reread", {"page": page.number, "why": "it looked wrong"})
            page = await self._client.fetch(page.number)
        return page

    async def _anchored(self, place: Cursor) -> int:
        """The page to go on with: the cursor's, or an earlier one where rows before it were removed from the feed."""
        if place.last_key is None or place.page <= self._spec.first_page:
            return place.page
        before = (await self._client.fetch(place.page - 1)).keys(self._spec.key)
        if place.last_key in before and place.last_key == max(before):
            return place.page
        if place.last_key in (await self._client.fetch(place.page)).keys(self._spec.key):
            return place.page
        found = await self._page_of(place.last_key, place.page)
        if found < place.page:
            self._tell("anchor", {"page": place.page, "found": found, "why": REMOVED})
        return found

    async def _page_of(self, key: int, most: int) -> int:
        """The first page, at most `most`, that holds this key or a greater one."""
        low, high = self._spec.first_page, most
        while low < high:
            middle = (low + high) // 2
            rows = (await self._client.fetch(middle)).rows
            if not rows or rows[-1][self._spec.key] >= key:
                high = middle
            else:
                low = middle + 1
        return low


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
        numbers = [number for number, _ in self._tasks]
        self._tasks.clear()
        self._client.give_up(numbers)


def _forget(task: asyncio.Task[Page]) -> None:
    """Look at what became of a page that nobody wants any more."""
    if not task.cancelled():
        task.exception()


def _greatest(page: Page, key: str, last_key: int | None) -> int | None:
    """The greatest key so far, those of rows among them that do not hold: the next page follows on them."""
    return max([*page.keys(key), *([] if last_key is None else [last_key])], default=None)
