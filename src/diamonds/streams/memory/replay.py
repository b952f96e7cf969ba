"""Learning the stored rows again: what comes of it is what never having stopped would have given, to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Engine, select

from diamonds.errors import FeedError, StreamConflictError
from diamonds.store.tables import StreamCheckpoint
from diamonds.streams.learners import Learner
from diamonds.streams.memory import checkpoint as checkpoints
from diamonds.streams.memory.checkpoint import Checkpoint
from diamonds.streams.memory.rows_table import RowsTable
from diamonds.streams.memory.thinning import Entry, Thinning
from diamonds.streams.memory.transaction import learn, reported
from diamonds.streams.spec import FeedSpec, Row


@dataclass(frozen=True)
class Replayed:
    """What came of the stored rows.

    Attributes:
        before: The version of the checkpoint that they belong to.
        checkpoint: The one to put in its place.
        history: The checkpoints on the way there that the history keeps, the last one last.
    """

    before: int
    checkpoint: Checkpoint
    history: list[Checkpoint]


def replay(
    engine: Engine,
    spec: FeedSpec,
    table: RowsTable,
    learners: Mapping[str, Learner],
    goes_on: Callable[[], bool] = lambda: True,
) -> Replayed:
    """Let learners that have learned nothing learn the stored rows, as long as it `goes_on`; nothing is written.

    Raises:
        FeedError: It does not.
        StreamConflictError: The rows that are there have other columns than the feed is said to have now.
    """
    with engine.connect() as connection:
        was = checkpoints.configuration(connection, spec.name)
        stored = _stored(connection, spec, was)
    _require_same_columns(spec, was)
    now, thinning, history = replace(stored, rows=0), Thinning(), {}
    for rows in _chunks(table.read(engine, stored.rows), spec.page_size):
        if not goes_on():
            raise FeedError(f"{spec.name} is not run any more: what was learned of it before stays")
        learn(learners, rows)
        now = replace(now, rows=now.rows + len(rows))
        if thinning.keeps_next(now.rows) or now.rows == stored.rows:
            now = reported(replace(now, version=now.version + 1), spec.name, learners)
            thinning.add(Entry(now.version, now.rows))
            history[now.version] = now
    if not history:
        now = replace(now, version=now.version + 1)
    return Replayed(stored.version, now, list(history.values()))


def _stored(connection: Connection, spec: FeedSpec, was: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint that is there, without what was learned; where pages are cut otherwise now, from the first one."""
    row = connection.execute(select(StreamCheckpoint.__table__).where(StreamCheckpoint.feed == spec.name)).one()
    is_cut_alike = all(was[field] == getattr(spec, field) for field in ("first_page", "page_size"))
    page = row.page if is_cut_alike else spec.first_page
    return Checkpoint(row.version, page, row.last_key, row.rows, row.rejected, 0, {}, {}, datetime.now(UTC))


def _require_same_columns(spec: FeedSpec, was: Mapping[str, Any]) -> None:
    types = {name: column["type"] for name, column in was["columns"].items()}
    if was["key"] != spec.key or types != {name: column.type for name, column in spec.columns.items()}:
        raise StreamConflictError(
            f"the stored rows of {spec.name} have other columns than conf/base/streams.yml says now, so that they"
            " cannot be learned again: `reset` without keeping them begins anew"
        )


def _chunks(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    left = iter(rows)
    while chunk := list(islice(left, size)):
        yield chunk
