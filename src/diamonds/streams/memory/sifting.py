"""Which rows of some pages are new, which were learned already, and which come with other values than were learned."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from diamonds.streams.reading.page import Page, is_key
from diamonds.streams.spec import Row

REVISED = "it was learned with other values before, and is not learned again"


@dataclass(frozen=True)
class Sifted:
    """What one page holds.

    Attributes:
        page: As it was read.
        new: Rows to learn, in the order of their keys.
        revised: Rows of a key that is there with other values.
        repeated: How many rows are there as they are.
    """

    page: Page
    new: list[dict[str, Any]] = field(default_factory=list)
    revised: list[Row] = field(default_factory=list)
    repeated: int = 0


def keys_to_ask_for(pages: Sequence[Page], key: str, last_key: int | None) -> set[int]:
    """The keys that may be there already: none beyond the greatest that ever was accepted."""
    if last_key is None:
        return set()
    keys = {row[key] for page in pages for row in page.rows}
    keys |= {int(reject.key) for page in pages for reject in page.rejects if is_key(reject.key)}
    return {each for each in keys if each <= last_key}


def sift(
    pages: Sequence[Page], key: str, known: Mapping[int, Row], clean: Callable[[Row], dict[str, Any]]
) -> tuple[list[Sifted], Collection[int]]:
    """Sort the rows of the pages, one page after the other.

    Args:
        pages: In the order in which they were accepted.
        key: The column that names a row.
        known: What is there already.
        clean: Gives a row as the database will give it back.

    Returns:
        What each page holds, and the keys that are there once the new rows are.
    """
    there, sifted = dict(known), []
    for page in pages:
        found, repeated = Sifted(page), page.repeated
        for given in page.rows:
            row = clean(given)
            before = there.setdefault(row[key], row)
            if before is row:
                found.new.append(row)
            elif before != row:
                found.revised.append(row)
            else:
                repeated += 1
        sifted.append(Sifted(page, found.new, found.revised, repeated))
    return sifted, there.keys()
