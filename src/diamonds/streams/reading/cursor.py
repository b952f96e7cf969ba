"""How far a feed has been read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diamonds.streams.reading.page import Page


@dataclass(frozen=True)
class Cursor:
    """Where to go on.

    Attributes:
        page: The first page that is not consumed whole.
        last_key: The greatest key that was accepted; None before the first row.
        key_page: The page on which that one was; None where it is not known.
    """

    page: int
    last_key: int | None
    key_page: int | None = field(default=None, compare=False)

    def after(self, page: Page, key: str) -> Cursor:
        """Where to go on after this page; rows that do not hold count too, for the next page follows them."""
        greatest = max(page.keys(key), default=None)
        if greatest is None or (self.last_key is not None and greatest < self.last_key):
            return Cursor(page.next_page, self.last_key, self.key_page)
        return Cursor(page.next_page, greatest, page.number)
