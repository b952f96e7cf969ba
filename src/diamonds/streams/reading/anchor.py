"""Finds where to go on, where rows before the cursor were removed from a feed."""

from __future__ import annotations

from diamonds.streams.reading.believing import Believer
from diamonds.streams.reading.client import Tell
from diamonds.streams.reading.cursor import Cursor
from diamonds.streams.reading.page import Page
from diamonds.streams.spec import FeedSpec

REMOVED = (
    "rows before the cursor were removed from the feed; what was learned stays, and reading goes on where they end"
)


class Anchor:
    """Holds a cursor to the rows that were read, whatever page they are on now."""

    def __init__(self, spec: FeedSpec, believer: Believer, tell: Tell) -> None:
        """Ask nothing yet."""
        self._spec, self._believer, self._tell = spec, believer, tell

    async def hold(self, cursor: Cursor, given: Page | None) -> Cursor:
        """The cursor, or one of an earlier page where rows before it were removed; any doubt is read again first.

        Args:
            cursor: Where to go on.
            given: The page before it, as it was when it was given; None where it was not.

        Raises:
            FeedError: The feed refuses a page.
        """
        last = cursor.last_key
        if last is None or cursor.page <= self._spec.first_page:
            return cursor
        before = await self._before(cursor, last, given)
        if self._is_as_it_was(before, last, given):
            return cursor
        here = await self._believer.read(cursor.page, lambda page: last in page.keys(self._spec.key))
        if before.is_full and last in here.keys(self._spec.key):
            return cursor
        found = await self._page_of(last, cursor.page)
        if found == cursor.page:
            return cursor
        self._tell("anchor", {"page": cursor.page, "found": found, "why": REMOVED})
        return Cursor(found, last)

    async def is_held(self, cursor: Cursor, given: Page | None) -> bool:
        """Whether the page before the cursor is as it was, after any doubt was read again.

        Raises:
            FeedError: The feed refuses it.
        """
        last = cursor.last_key
        if last is None or cursor.page <= self._spec.first_page:
            return True
        return self._is_as_it_was(await self._before(cursor, last, given), last, given)

    async def _before(self, cursor: Cursor, last: int, given: Page | None) -> Page:
        return await self._believer.read(cursor.page - 1, lambda page: self._is_as_it_was(page, last, given))

    def _is_as_it_was(self, page: Page, last: int, given: Page | None) -> bool:
        """Whether the page before a cursor is full still and holds the same keys.

        Where they are not known: whether it holds the last one, or no row that does, and none beyond.
        """
        key = self._spec.key
        keys, good = page.keys(key), [row[key] for row in page.rows]
        if given is not None:
            return page.is_full and sorted(keys) == sorted(given.keys(key))
        return page.is_full and all(each <= last for each in good) and (not good or last in keys)

    async def _page_of(self, key: int, most: int) -> int:
        """The first page, at most `most`, that holds this key or a greater one, or an earlier page without keys."""
        low, high = self._spec.first_page, most
        while low < high:
            middle = (low + high) // 2
            page = await self._believer.read(middle)
            if page.size and max(page.keys(self._spec.key), default=key) < key:
                low = middle + 1
            else:
                high = middle
        return low
