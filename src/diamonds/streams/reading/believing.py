"""Reads a page again where it is doubtful, until it is not, or until enough readings agree."""

from __future__ import annotations

from collections.abc import Callable

from diamonds.streams.reading.client import FIRST_PAUSE, PageClient, Sleep, Tell
from diamonds.streams.reading.page import Page
from diamonds.streams.spec import FeedSpec

#: A page that is doubtful is believed after so many readings that agree.
READINGS = 3
#: After so many that do not, the stream is said to be stalled.
STALLED_AFTER = 10


class Believer:
    """Tells what a feed holds from what it says once."""

    def __init__(self, spec: FeedSpec, client: PageClient, tell: Tell, sleep: Sleep) -> None:
        """Ask nothing yet."""
        self._spec, self._client, self._tell, self._sleep = spec, client, tell, sleep

    async def read(
        self, number: int, is_fine: Callable[[Page], bool] | None = None, *, quietly: bool = False
    ) -> Page:  # fmt: skip
        """A page that is fine, or one of which enough readings agree.

        Args:
            number: The page's.
            is_fine: Whether one reading is enough; where nothing is said, it is unless the page looks wrong.
            quietly: Whether nobody is told that the feed stalls: it is not learned from meanwhile.

        Raises:
            FeedError: The feed refuses it.
        """
        page = await self._client.fetch(number, quietly=quietly)
        fine = is_fine or (lambda read: not read.looks_wrong(self._spec.key, None))
        return await self.believed(page, fine, quietly=quietly)

    async def believed(self, page: Page, is_fine: Callable[[Page], bool], *, quietly: bool = False) -> Page:
        """This page, or what further readings of it say."""
        newest: list[Page] = []
        readings, pause = 0, FIRST_PAUSE
        while not is_fine(page):
            readings += 1
            newest = [*newest[1 - 2 * READINGS :], page]
            if newest.count(page) >= READINGS:
                break
            if readings == STALLED_AFTER and not quietly:
                self._tell("stall", {"page": page.number, "why": f"page {page.number} reads differently each time"})
            if readings > READINGS:  # it is left some time
                await self._sleep(pause)
                pause = min(2 * pause, self._spec.polling.most_seconds)
            self._tell("reread", {"page": page.number, "why": "it looked wrong"})
            page = await self._client.fetch(page.number, quietly=quietly)
        if readings >= STALLED_AFTER and not quietly:
            self._tell("recover", {"page": page.number})
        return page
