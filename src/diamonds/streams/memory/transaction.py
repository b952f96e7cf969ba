"""The one transaction: rows, cursor, what was learned, history and rejects of some pages, all of it or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import Connection

from diamonds.streams.learners import Learner
from diamonds.streams.memory import checkpoint as checkpoints
from diamonds.streams.memory.checkpoint import Checkpoint
from diamonds.streams.memory.rejects import RejectBook
from diamonds.streams.memory.rows_table import RowsTable
from diamonds.streams.memory.sifting import Sifted, keys_to_ask_for, sift
from diamonds.streams.memory.thinning import Thinning
from diamonds.streams.reading.page import Page
from diamonds.streams.spec import FeedSpec, Row


@dataclass(frozen=True)
class Committed:
    """What came of some pages.

    Attributes:
        checkpoint: As it is now; the one before where there was nothing new.
        new: The rows that were learned.
        repeated: How many were there already.
        rejected: How many more are not learned than before.
        revised: How many more came with other values than were learned.
    """

    checkpoint: Checkpoint
    new: tuple[Row, ...]
    repeated: int
    rejected: int
    revised: int


@dataclass(frozen=True)
class Transaction:
    """Learns pages on a connection whose transaction has begun, and leaves it to the caller to commit it.

    Attributes:
        spec: The feed.
        table: Its rows.
        learners: Will have learned the new rows; where the transaction fails, they are not to be used any more.
        thinning: What the history keeps; will have the new checkpoint.
        code_version: Which code learns.
    """

    spec: FeedSpec
    table: RowsTable
    learners: Mapping[str, Learner]
    thinning: Thinning
    code_version: str | None = None

    def learn(self, connection: Connection, pages: Sequence[Page], before: Checkpoint, page: int) -> Committed:
        """Learn what is new in the pages; afterwards `page` is the first that is not consumed whole.

        Raises:
            StreamConflictError: Another process wrote the checkpoint meanwhile.
        """
        if checkpoints.hold(connection, self.spec.name) != before.version:
            raise checkpoints.conflict(self.spec.name)
        now = datetime.now(UTC)
        sifted, there = self._sift(connection, pages, before)
        new = [row for each in sifted for row in each.new]
        self.table.insert(connection, _with_pages(sifted), before.rows, now)
        rejected, revised = self._enter_rejects(connection, sifted, there, before, now)
        last_key, key_page = _greatest(before, sifted, self.spec.key)
        after = replace(
            before,
            page=page,
            last_key=last_key,
            key_page=key_page,
            rows=before.rows + len(new),
            rejected=before.rejected + rejected,
            revised=before.revised + revised,
            code_version=self.code_version,
        )
        repeated = sum(each.repeated for each in sifted)
        if after == replace(before, code_version=self.code_version):
            return Committed(before, (), repeated, 0, 0)
        learn(self.learners, new)
        after = reported(replace(after, version=before.version + 1, updated_at=now), self.spec.name, self.learners)
        self._write(connection, after, before.version)
        return Committed(after, tuple(new), repeated, rejected, revised)

    def _sift(
        self, connection: Connection, pages: Sequence[Page], before: Checkpoint
    ) -> tuple[list[Sifted], Iterable[int]]:
        keys = keys_to_ask_for(pages, self.spec.key, before.last_key)
        known = self.table.known(connection, keys) if keys else {}
        return sift(pages, self.spec.key, known, self.table.clean)

    def _enter_rejects(
        self, connection: Connection, sifted: Sequence[Sifted], there: Iterable[int], before: Checkpoint, now: datetime
    ) -> tuple[int, int]:
        """How many more are not learned, and how many more came with other values; most pages touch neither."""
        if not before.rejected and not any(each.page.rejects or each.revised for each in sifted):
            return 0, 0
        keys = {str(row[self.spec.key]) for each in sifted for row in (*each.new, *each.revised)}
        keys |= {reject.key for each in sifted for reject in each.page.rejects}
        book = RejectBook(connection, self.spec.name, [each.page for each in sifted], keys)
        known = set(there).difference(row[self.spec.key] for each in sifted for row in each.new)
        for each in sifted:
            known.update(row[self.spec.key] for row in each.new)
            book.enter(each, known, self.spec.key, now)
        book.write()
        return book.counted, book.revised

    def _write(self, connection: Connection, after: Checkpoint, before: int) -> None:
        checkpoints.write(connection, self.spec.name, after, before, self.learners)
        checkpoints.write_history(connection, self.spec.name, after, self.thinning)


def learn(learners: Mapping[str, Learner], rows: Sequence[Row]) -> None:
    """Let each learner learn the rows in their order."""
    for learner in learners.values():
        for row in rows:
            learner.learn(row)


def reported(now: Checkpoint, feed: str, learners: Mapping[str, Learner]) -> Checkpoint:
    """The checkpoint with what the learners say."""
    coefficients, statistics = checkpoints.reports(feed, learners)
    return replace(now, coefficients=coefficients, statistics=statistics)


def _with_pages(sifted: Iterable[Sifted]) -> Iterable[tuple[int, Row]]:
    return ((each.page.number, row) for each in sifted for row in each.new)


def _greatest(before: Checkpoint, sifted: Iterable[Sifted], key: str) -> tuple[int | None, int | None]:
    """The greatest key, and its page."""
    found = before.last_key, before.key_page
    for each in sifted:
        if each.new and (found[0] is None or each.new[-1][key] > found[0]):
            found = each.new[-1][key], each.page.number
    return found
