"""The checkpoint: how far a feed was learned, and what was learned; one row, replaced with each batch or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from diamonds.errors import ModelError, StreamConflictError
from diamonds.store.tables import Stream, StreamCheckpoint, StreamHistory
from diamonds.streams.learners import STATE_SCHEMA, Learner, Report
from diamonds.streams.memory.thinning import Entry, Thinning
from diamonds.streams.reading.cursor import Cursor
from diamonds.streams.spec import FeedSpec

#: Before anything is done.
BEGUN = "paused"


@dataclass(frozen=True)
class Checkpoint:
    """How far a feed was learned.

    Attributes:
        version: Rises with each transaction; who writes names the one before.
        page: The first page that is not consumed whole.
        last_key: The greatest key that was accepted.
        rows: How many were learned.
        rejected: How many are not learned, unless they are read again.
        revised: How many came with other values than were learned.
        coefficients: By learner.
        statistics: By learner, scores among them.
        updated_at: When it was written.
        code_version: By which code.
        key_page: The page on which the greatest key was learned; None where it is not known.
    """

    version: int
    page: int
    last_key: int | None
    rows: int
    rejected: int
    revised: int
    coefficients: Mapping[str, Any]
    statistics: Mapping[str, Any]
    updated_at: datetime
    code_version: str | None = None
    key_page: int | None = field(default=None, compare=False)

    @property
    def cursor(self) -> Cursor:
        """Where to read on."""
        return Cursor(self.page, self.last_key, self.key_page)


def begin(connection: Connection, spec: FeedSpec) -> None:
    """Enter the feed and its first checkpoint, where they are missing."""
    now = datetime.now(UTC)
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    feed = _described(spec) | {"feed": spec.name, "created_at": now}
    empty: dict[str, Any] = {"state": {}, "coefficients": {}, "statistics": {}}
    first = empty | {
        "feed": spec.name, "version": 0, "page": spec.first_page, "rows": 0, "rejected": 0, "status": BEGUN,
        "state_schema": STATE_SCHEMA, "updated_at": now,
    }  # fmt: skip
    for table, row in ((Stream, feed), (StreamCheckpoint, first)):
        connection.execute(dialect.insert(table).values(**row).on_conflict_do_nothing())


def describe_again(connection: Connection, spec: FeedSpec) -> None:
    """Enter the feed as it is configured now."""
    connection.execute(update(Stream).where(Stream.feed == spec.name).values(**_described(spec)))


def configuration(connection: Connection, feed: str) -> dict[str, Any]:
    """How the feed was configured when what is learned was begun."""
    found = connection.execute(select(Stream.config).where(Stream.feed == feed)).scalar()
    return dict(found or {})


def read(connection: Connection, spec: FeedSpec, revised: int) -> tuple[Checkpoint, dict[str, Any]]:
    """The checkpoint, and the state of each learner.

    Raises:
        StreamConflictError: It is of another configuration, or of another version of the project.
    """
    row = connection.execute(
        select(StreamCheckpoint.__table__, Stream.config_hash)
        .join_from(StreamCheckpoint.__table__, Stream.__table__, StreamCheckpoint.feed == Stream.feed)
        .where(StreamCheckpoint.feed == spec.name)
    ).one()
    if row.config_hash != spec.config_hash():
        raise StreamConflictError(
            f"what was learned from {spec.name} is of another configuration than conf/base/streams.yml says now:"
            " `replay` learns the stored rows again as it says, `reset` begins anew, or put the entry back"
        )
    if row.state_schema != STATE_SCHEMA:
        raise StreamConflictError(
            f"what was learned from {spec.name} was saved in form {row.state_schema}, and this version of the project"
            f" reads form {STATE_SCHEMA}: `replay` learns the stored rows again, `reset` begins anew"
        )
    found = Checkpoint(
        row.version, row.page, row.last_key, row.rows, row.rejected, revised, row.coefficients, row.statistics,
        row.updated_at, row.code_version,
    )  # fmt: skip
    return found, row.state


def hold(connection: Connection, feed: str) -> int:
    """Hold the checkpoint until this transaction ends, so that nobody else writes it; answers its version."""
    asked = select(StreamCheckpoint.version).where(StreamCheckpoint.feed == feed).with_for_update()
    return connection.execute(asked).scalar_one()


def write(
    connection: Connection,
    feed: str,
    now: Checkpoint,
    before: int,
    learners: Mapping[str, Learner],
) -> None:
    """Replace the checkpoint of version `before`.

    Raises:
        StreamConflictError: It is no longer that.
    """
    values = {name: getattr(now, name) for name in ("version", "page", "last_key", "rows", "rejected", "updated_at")}
    values |= {"coefficients": now.coefficients, "statistics": now.statistics}
    values |= {"state_schema": STATE_SCHEMA, "code_version": now.code_version}
    values["state"] = plain(feed, {name: learner.dump() for name, learner in learners.items()})
    its = (StreamCheckpoint.feed == feed) & (StreamCheckpoint.version == before)
    if connection.execute(update(StreamCheckpoint).where(its).values(**values)).rowcount != 1:
        raise conflict(feed)


def write_history(connection: Connection, feed: str, now: Checkpoint, thinning: Thinning) -> None:
    """Enter the checkpoint in the history; the entry before goes where it is not one to keep."""
    dropped = thinning.add(Entry(now.version, now.rows))
    if dropped is not None:
        its = (StreamHistory.feed == feed) & (StreamHistory.version == dropped.version)
        connection.execute(delete(StreamHistory).where(its))
    connection.execute(insert(StreamHistory).values(feed=feed, **history_values(now)))


def history_values(now: Checkpoint) -> dict[str, Any]:
    """What the history keeps of a checkpoint."""
    return {
        "version": now.version, "page": now.page, "rows": now.rows, "at": now.updated_at,
        "coefficients": now.coefficients, "scores": {name: each["scores"] for name, each in now.statistics.items()},
    }  # fmt: skip


def reports(feed: str, learners: Mapping[str, Learner]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The coefficients, and the statistics with the scores, of each learner."""
    said: dict[str, Report] = {name: learner.report() for name, learner in learners.items()}
    plain(feed, said)
    coefficients = {name: report["coefficients"] for name, report in said.items()}
    return coefficients, {name: report["statistics"] | {"scores": report["scores"]} for name, report in said.items()}


def plain(feed: str, said: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the learners say, made sure to be JSON: not every database takes NaN.

    Raises:
        ModelError: It is none; the message names the learner.
    """
    for name, document in said.items():
        try:
            json.dumps(document, allow_nan=False)
        except (ValueError, TypeError) as error:
            raise ModelError(f"the learner {name} of {feed} says what is not JSON: {error}") from error
    return said


def conflict(feed: str) -> StreamConflictError:
    """What to say where somebody else wrote the checkpoint."""
    return StreamConflictError(
        f"another process learns from {feed}: this one stops here and keeps nothing of its last batch;"
        " stop the other, then start this one again"
    )


def _described(spec: FeedSpec) -> dict[str, Any]:
    return {"config": spec.model_dump(mode="json"), "config_hash": spec.config_hash()}
