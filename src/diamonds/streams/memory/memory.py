"""The memory of a stream: its rows, and with each batch, in the same transaction, all that was learned from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from diamonds.errors import DatabaseError
from diamonds.store.database import writing
from diamonds.store.tables import StreamCheckpoint, StreamHistory, StreamReject
from diamonds.streams.learners import Learner, build
from diamonds.streams.memory import checkpoint as checkpoints
from diamonds.streams.memory import events, rejects
from diamonds.streams.memory.checkpoint import Checkpoint
from diamonds.streams.memory.replay import replay
from diamonds.streams.memory.rows_table import RowsTable
from diamonds.streams.memory.thinning import Entry, Thinning
from diamonds.streams.memory.transaction import Committed, Transaction, learn
from diamonds.streams.reading.page import Page
from diamonds.streams.science.pricing import look
from diamonds.streams.spec import FeedSpec, Row

#: What a person sees of the rows, and a learner of them for its drawing.
RECENT = 400


class Memory:
    """What is remembered of one feed; the learners belong to it, for they go back where a transaction does.

    One thread uses it at a time. After an error it holds nothing until it is opened again, from the last checkpoint.

    Attributes:
        learners: By name, as they are after the last checkpoint.
    """

    def __init__(
        self,
        engine: Engine,
        spec: FeedSpec,
        *,
        make_learners: Callable[[FeedSpec], dict[str, Learner]] = build,
        code_version: str | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            engine: A database whose tables are there; `open_database(settings, durable=True)`.
            spec: The feed.
            make_learners: Makes learners that have learned nothing.
            code_version: Which code learns.
        """
        self.learners: dict[str, Learner] = {}
        self._engine, self._spec = engine, spec
        self._make_learners, self._code_version = make_learners, code_version
        self._table = RowsTable(spec)
        self._checkpoint: Checkpoint | None = None
        self._thinning = Thinning()

    @property
    def is_open(self) -> bool:
        """Whether it holds what the last checkpoint says."""
        return self._checkpoint is not None

    @property
    def checkpoint(self) -> Checkpoint:
        """The last one.

        Raises:
            RuntimeError: It is not open.
        """
        if self._checkpoint is None:
            raise RuntimeError(f"the memory of {self._spec.name} is not open")
        return self._checkpoint

    def open(self) -> Checkpoint:
        """Hold what the last checkpoint says, and nothing else; make what is missing.

        Raises:
            StreamConflictError: It is of another configuration or form; `reset` or `replay` help.
            DatabaseError: The database is away.
        """
        self._forget()
        with self._told("opened"):
            self._make_tables()
            with self._engine.connect() as connection:
                found, state = self._read(connection)
                self._thinning = Thinning(_kept(connection, self._spec.name))
            learners = self._make_learners(self._spec)
            self._load(learners, state, found.rows)
        self.learners, self._checkpoint = learners, found
        return found

    def look(self) -> Checkpoint:
        """The last checkpoint, without holding what it says; make what is missing.

        Raises:
            StreamConflictError: It is of another configuration or form; `reset` or `replay` help.
            DatabaseError: The database is away.
        """
        with self._told("opened"):
            self._make_tables()
            with self._engine.connect() as connection:
                return self._read(connection)[0]

    def commit(self, pages: Sequence[Page]) -> Committed:
        """Learn pages that follow the checkpoint, and remember their rows and all that was learned, or nothing.

        Raises:
            StreamConflictError: Another process learns from this feed, or the pages do not follow the checkpoint.
            DatabaseError: The database took nothing.
        """
        before = self.checkpoint
        if pages and pages[0].number > before.page:
            raise checkpoints.conflict(self._spec.name)
        return self._write(pages, page=pages[-1].next_page if pages else before.page)

    def read_again(self, page: Page) -> Committed:
        """Learn a page that was read before, where the cursor stays: rows that were rejected may be good now.

        Raises:
            StreamConflictError: Another process learns from this feed.
            DatabaseError: The database took nothing.
        """
        return self._write([page], page=self.checkpoint.page)

    def recent(self, most: int = RECENT) -> list[tuple[Any, ...]]:
        """The fields of the newest rows, the last one last."""
        with self._told("read"), self._engine.connect() as connection:
            return self._table.newest(connection, most)

    def stored_rows(self, until: int | None = None) -> Iterator[Row]:
        """The rows in the order in which they were learned; the first `until` of them, or all up to the checkpoint."""
        return self._table.read(self._engine, self.checkpoint.rows if until is None else until)

    def history(self) -> list[dict[str, Any]]:
        """What was learned after the batches that are kept, the first one first."""
        asked = (
            select(*(column for column in StreamHistory.__table__.columns if column.key != "feed"))
            .where(StreamHistory.feed == self._spec.name)
            .order_by(StreamHistory.version)
        )
        with self._told("read"), self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(asked).mappings()]

    def rejects(self) -> list[dict[str, Any]]:
        """The rows that were not learned, those that are not settled first."""
        with self._told("read"), self._engine.connect() as connection:
            return rejects.listed(connection, self._spec.name)

    def why_rejected(self, key: str) -> str | None:
        """Why the row of this key is not learned; None where it is not among the rejected."""
        with self._told("read"), self._engine.connect() as connection:
            return rejects.reason(connection, self._spec.name, key)

    def events(self, most: int = 100) -> list[dict[str, Any]]:
        """What happened to the stream, the newest first."""
        with self._told("read"), self._engine.connect() as connection:
            return events.newest(connection, self._spec.name, most)

    def record_event(self, kind: str, detail: Mapping[str, Any], at: datetime | None = None) -> None:
        """Remember that something happened."""
        with self._told("written"), writing(self._engine).begin() as connection:
            events.record(connection, self._spec.name, kind, detail, at)

    def set_status(self, status: str) -> None:
        """Remember how the stream stands, unless another process has learned since."""
        if self._checkpoint is None:
            return
        its = (StreamCheckpoint.feed == self._spec.name) & (StreamCheckpoint.version == self._checkpoint.version)
        with self._told("written"), writing(self._engine).begin() as connection:
            connection.execute(update(StreamCheckpoint).where(its).values(status=status))

    def reset(self, *, keep_rows: bool, goes_on: Callable[[], bool] = lambda: True) -> Checkpoint:
        """Begin anew: from the first page, or, where rows are kept, by learning those again and reading on.

        Args:
            keep_rows: Whether to learn the stored rows again.
            goes_on: Whether that is still wanted, while it takes its time.

        Raises:
            FeedError: It was not wanted any more; nothing was changed.
            StreamConflictError: Another process learned from this feed meanwhile; or the rows that are there are of
                other columns, so that they cannot be learned.
        """
        self._forget()
        with self._told("reset"):
            if keep_rows:
                self._replay(goes_on)
            else:
                self._begin_anew()
        return self.open()

    def _begin_anew(self) -> None:
        name = self._spec.name
        self._make_tables()
        with writing(self._engine).begin() as connection:
            before = checkpoints.hold(connection, name)
            self._table.drop(connection)
            self._table.make(connection)
            for table in (StreamHistory, StreamReject):
                connection.execute(delete(table).where(table.feed == name))
            checkpoints.describe_again(connection, self._spec)
            empty = Checkpoint(before + 1, self._spec.first_page, None, 0, 0, 0, {}, {}, datetime.now(UTC))
            checkpoints.write(connection, name, empty, before, {})

    def _replay(self, goes_on: Callable[[], bool]) -> None:
        """Learn the stored rows again; others wait only while what comes of it is written."""
        name, learners = self._spec.name, self._make_learners(self._spec)
        replayed = replay(self._engine, self._spec, self._table, learners, goes_on)
        with writing(self._engine).begin() as connection:
            connection.execute(delete(StreamHistory).where(StreamHistory.feed == name))
            for entry in replayed.history:
                connection.execute(insert(StreamHistory).values(feed=name, **checkpoints.history_values(entry)))
            checkpoints.describe_again(connection, self._spec)
            after = replace(replayed.checkpoint, code_version=self._code_version)
            checkpoints.write(connection, name, after, replayed.before, learners)

    def _write(self, pages: Sequence[Page], page: int) -> Committed:
        before, thinning = self.checkpoint, Thinning(list(self._thinning.entries))
        look(self.learners.values())
        transaction = Transaction(self._spec, self._table, self.learners, thinning, self._code_version)
        try:
            with self._told("written"), writing(self._engine).begin() as connection:
                committed = transaction.learn(connection, pages, before, page)
        except BaseException:
            self._forget()  # the learners may be ahead of the database
            raise
        self._checkpoint, self._thinning = committed.checkpoint, thinning
        return committed

    def _forget(self) -> None:
        self._checkpoint, self.learners = None, {}

    def _make_tables(self) -> None:
        with writing(self._engine).begin() as connection:
            checkpoints.begin(connection, self._spec)  # of two that begin at once, the second waits here
            self._table.make(connection)

    def _read(self, connection: Connection) -> tuple[Checkpoint, dict[str, Any]]:
        _, revised = rejects.counts(connection, self._spec.name)
        found, state = checkpoints.read(connection, self._spec, revised)
        return replace(found, key_page=self._table.page_of(connection, found.last_key)), state

    def _load(self, learners: Mapping[str, Learner], state: Mapping[str, Any], rows: int) -> None:
        """Give each learner what it had learned: its state, or where that cannot be saved, the rows once more."""
        anew = {name: learner for name, learner in learners.items() if getattr(learner, "needs_replay", False)}
        for name in state.keys() & (learners.keys() - anew.keys()):
            learners[name].load(state[name])
        if anew:
            for row in self._table.read(self._engine, rows):
                learn(anew, [row])

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Say in plain words what the database failed to do."""
        try:
            yield
        except (DBAPIError, PoolTimeoutError) as error:
            why = error.orig if isinstance(error, DBAPIError) else error
            raise DatabaseError(
                f"the memory of {self._spec.name} could not be {what}: {' '.join(str(why).split())};"
                " nothing is lost, what is in the database is as it was; see DIAMONDS_DATABASE_URL"
            ) from error


def _kept(connection: Connection, feed: str) -> list[Entry]:
    """The entries of the history."""
    asked = (
        select(StreamHistory.version, StreamHistory.rows)
        .where(StreamHistory.feed == feed)
        .order_by(StreamHistory.version)
    )
    return [Entry(version, rows) for version, rows in connection.execute(asked)]
