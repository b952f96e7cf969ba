"""The rows of a feed that could not be learned from: kept with the reason, until a later reading of them is better."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, or_, select, update

from diamonds.store.tables import StreamReject
from diamonds.streams.memory.sifting import REVISED, Sifted
from diamonds.streams.memory.texts import storable
from diamonds.streams.reading.page import Page, Reject, is_key

#: Characters of a row, and of its key, that are kept.
LONGEST_RAW, LONGEST_KEY = 2_000, 64
ASKED_AT_ONCE = 5_000


@dataclass
class _Kept:
    """One row of the table, as it is and as it is to be."""

    page: int
    key: str
    counted: bool
    is_open: bool
    values: dict[str, Any] | None = None  # to write, where it changes
    was_page: int | None = None  # where it lies in the table; None where it is new


class RejectBook:
    """The rejects that some pages may touch, brought up to date page by page and then written.

    Attributes:
        counted: How many more rows of the feed are not learned than before; negative where some are now.
        revised: How many more rows came with other values than were learned.
    """

    def __init__(self, connection: Connection, feed: str, pages: Sequence[Page], keys: Iterable[str]) -> None:
        """Read what is there about these pages and these keys."""
        self.counted, self.revised = 0, 0
        self._connection, self._feed = connection, feed
        self._kept: dict[tuple[int, str], _Kept] = {}
        for row in _about(connection, feed, {page.number for page in pages}, set(keys)):
            is_open = row.resolved_at is None
            self._kept[row.page, row.key] = _Kept(row.page, row.key, row.counted, is_open, was_page=row.page)

    def enter(self, sifted: Sifted, there: Collection[int], key: str, now: datetime) -> None:
        """Keep what cannot be learned of one page, and settle what can now."""
        page = sifted.page
        for reject in page.rejects:
            self._keep(reject, counted=not (is_key(reject.key) and int(reject.key) in there), now=now)
        for row in sifted.revised:
            raw = json.dumps(row)
            self._keep(Reject(page.number, str(row[key]), REVISED, raw), counted=False, now=now)
        rejected = {storable(reject.key, LONGEST_KEY) for reject in page.rejects}
        self._settle(page, rejected, {str(row[key]) for row in sifted.new}, key, now)

    def write(self) -> None:
        """Write what changed."""
        for kept in self._kept.values():
            if kept.values is None:
                continue
            if kept.was_page is None:
                row = {"feed": self._feed, "page": kept.page, "key": kept.key, "resolved_at": None}
                self._connection.execute(insert(StreamReject).values(**(row | kept.values)))
            else:
                self._connection.execute(
                    update(StreamReject)
                    .where(
                        StreamReject.feed == self._feed,
                        StreamReject.page == kept.was_page,
                        StreamReject.key == kept.key,
                    )
                    .values(page=kept.page, **kept.values)
                )

    def _keep(self, reject: Reject, *, counted: bool, now: datetime) -> None:
        key = storable(reject.key, LONGEST_KEY)
        kept = self._find(reject.page, key, counted=counted, now=now)
        self._count(kept, -1)
        said = {"reason": storable(reject.reason), "raw": storable(reject.raw, LONGEST_RAW), "counted": counted}
        if kept is None:
            kept = self._kept[reject.page, key] = _Kept(reject.page, key, counted, is_open=True)
            kept.values = said | {"first_seen": now}
        else:
            kept.values = (kept.values or {}) | said | {"resolved_at": None}
            kept.counted, kept.is_open = counted, True
        self._count(kept, 1)

    def _find(self, page: int, key: str, *, counted: bool, now: datetime) -> _Kept | None:
        """What is kept of this row: where rows before it were removed, it is now on another page."""
        here = self._kept.get((page, key))
        if not is_key(key) or (here is not None and here.is_open):
            return here
        for moved in [each for each in self._kept.values() if each.key == key and each.is_open]:
            if moved.counted != counted:
                continue
            if here is not None:  # its place is taken by what was settled there
                self._close(moved, now)
                continue
            here = self._kept[page, key] = self._kept.pop((moved.page, key))
            here.page = page
        return here

    def _settle(self, page: Page, rejected: set[str], learned: set[str], key: str, now: datetime) -> None:
        """Settle what was rejected before and is no more: it was learned, or is gone from its page."""
        keys = page.keys(key)
        least, most = min(keys, default=0), max(keys, default=0)
        for kept in self._kept.values():
            is_gone = kept.page == page.number and kept.key not in rejected
            if is_gone and is_key(kept.key):  # it may have moved to another page, unless this one goes around it
                is_gone = least <= int(kept.key) <= most
            if kept.is_open and kept.counted and (is_gone or kept.key in learned):
                self._close(kept, now)

    def _close(self, kept: _Kept, now: datetime) -> None:
        self._count(kept, -1)
        kept.is_open = False
        kept.values = (kept.values or {}) | {"resolved_at": now}

    def _count(self, kept: _Kept | None, by: int) -> None:
        if kept is not None and kept.is_open:
            self.counted += by * kept.counted
            self.revised += by * (not kept.counted)


def counts(connection: Connection, feed: str) -> tuple[int, int]:
    """How many rows are not learned, and how many came with other values than were learned."""
    asked = (
        select(StreamReject.counted, func.count())
        .where(StreamReject.feed == feed, StreamReject.resolved_at.is_(None))
        .group_by(StreamReject.counted)
    )
    by_kind: dict[bool, int] = {row.counted: row[1] for row in connection.execute(asked)}
    return by_kind.get(True, 0), by_kind.get(False, 0)


def reason(connection: Connection, feed: str, key: str) -> str | None:
    """Why the row of this key is not learned; None where it is not among those that are not settled."""
    its = (StreamReject.feed == feed) & (StreamReject.key == key) & StreamReject.resolved_at.is_(None)
    found: str | None = connection.execute(select(StreamReject.reason).where(its).limit(1)).scalar()
    return found


def listed(connection: Connection, feed: str) -> list[dict[str, Any]]:
    """All that are kept, those that are not settled first, each as the table's columns."""
    columns = [column for column in StreamReject.__table__.columns if column.key != "feed"]
    asked = (
        select(*columns)
        .where(StreamReject.feed == feed)
        .order_by(StreamReject.resolved_at.is_not(None), StreamReject.page, StreamReject.key)
    )
    return [dict(row) for row in connection.execute(asked).mappings()]


def _about(connection: Connection, feed: str, pages: set[int], keys: set[str]) -> Iterable[Any]:
    """What is kept about these pages or keys."""
    columns = (StreamReject.page, StreamReject.key, StreamReject.counted, StreamReject.resolved_at)
    numbers, names = sorted(pages), sorted(keys)
    for start in range(0, max(len(numbers), len(names)), ASKED_AT_ONCE):
        some = slice(start, start + ASKED_AT_ONCE)
        asked = select(*columns).where(
            StreamReject.feed == feed, or_(StreamReject.page.in_(numbers[some]), StreamReject.key.in_(names[some]))
        )
        yield from connection.execute(asked)
