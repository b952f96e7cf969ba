"""Keys that a feed left out: rows that may appear yet, behind the cursor."""

from __future__ import annotations

from itertools import pairwise

from diamonds.streams.reading.client import Tell
from diamonds.streams.reading.cursor import Cursor
from diamonds.streams.reading.page import Page
from diamonds.streams.spec import FeedSpec

#: So many gaps are told, and of each so many ranges of keys.
MOST_TOLD, MOST_RANGES = 100, 10
INSERTED = "rows were inserted before the cursor: reading goes back to the first page that they can be on"


class Gaps:
    """The gaps of a feed as it is read."""

    def __init__(self, spec: FeedSpec, tell: Tell) -> None:
        """Know of none."""
        self._spec, self._tell = spec, tell
        self._told = 0
        self._first: int | None = None

    def begin(self, cursor: Cursor) -> None:
        """Reading begins here: of what is before, nothing is known."""
        self._first = None if cursor.page <= self._spec.first_page else self._spec.first_page

    def note(self, page: Page, last_key: int | None) -> None:
        """Tell the keys that are missing behind the last one and on this page, which was believed."""
        found = sorted(each for each in page.keys(self._spec.key) if last_key is None or each > last_key)
        known = found if last_key is None else [last_key, *found]
        missing = [(one + 1, other - 1) for one, other in pairwise(known) if other - one > 1]
        if last_key is None and found and found[0] > 1:
            self._first = self._spec.first_page
        if missing:
            self._first = page.number if self._first is None else min(self._first, page.number)
            self._say(page.number, missing)

    def go_back(self, cursor: Cursor) -> Cursor:
        """Where to read again, as rows were inserted before the cursor."""
        found = self._spec.first_page if self._first is None else min(self._first, cursor.page)
        self._tell("anchor", {"page": cursor.page, "found": found, "why": INSERTED})
        return Cursor(found, cursor.last_key)

    def forget(self) -> None:
        """Rows were removed: where the gaps are now is not known."""
        self._first = self._spec.first_page

    def _say(self, number: int, missing: list[tuple[int, int]]) -> None:
        self._told += 1
        if self._told > MOST_TOLD:
            return
        ranges = [str(one) if one == other else f"{one} to {other}" for one, other in missing[:MOST_RANGES]]
        more = f" and {len(missing) - MOST_RANGES} more" if len(missing) > MOST_RANGES else ""
        why = f"page {number} came without the keys {', '.join(ranges)}{more}: should they appear, they are learned"
        if self._told == MOST_TOLD:
            why += "; further gaps are not told"
        self._tell("gap", {"page": number, "missing": ranges, "why": why})
