"""What is asked of the traffic log: its exchanges, newest first, and how many there were when."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    Text,
    cast,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError

from diamonds.moments import written
from diamonds.store.partitions import least_id
from diamonds.store.tables import Moment, Traffic

Per = Literal["minute", "hour"]

#: Columns that hold JSON of any kind and size; it is passed on as it is kept, never read.
BODIES = ("request_body", "response_body")
#: The columns that are shown.
COLUMNS = tuple(column.key for column in Traffic.__table__.columns if column.key != "quoted")
#: Those that fit in a line.
BRIEF = tuple(name for name in COLUMNS if name not in BODIES)
#: As many exchanges are in memory at once.
PAGE = 100
#: An id knows only milliseconds, and earlier versions made it a little before they took the moment of its exchange.
LEEWAY = timedelta(seconds=10)
#: What is counted where nothing else is asked for.
DAY = timedelta(days=1)
#: How many steps SQLite takes, some milliseconds long, between two looks at the clock.
STEPS = 100_000
#: What PostgreSQL calls the end of a statement that took too long (appendix A of its manual: query_canceled).
CANCELED = "57014"
#: The beginning of the minute or hour in which an exchange was received.
_BEGINNINGS = {
    ("sqlite", "minute"): "substr(received_at, 1, 16) || ':00'",
    ("sqlite", "hour"): "substr(received_at, 1, 13) || ':00:00'",
    ("postgresql", "minute"): "date_trunc('minute', received_at, 'UTC')",
    ("postgresql", "hour"): "date_trunc('hour', received_at, 'UTC')",
}


@dataclass(frozen=True)
class Asked:
    """Which exchanges are asked for; what is None does not matter.

    Attributes:
        since: The first moment at which they were received, aware of its zone.
        until: The first moment that is too late, aware of its zone.
        path: Exactly.
        status: Exactly.
        version: That of the model which answered, exactly.
        before: A request_id; only exchanges with lesser ones, which are older.
    """

    since: datetime | None = None
    until: datetime | None = None
    path: str | None = None
    status: int | None = None
    version: str | None = None
    before: str | None = None


def exchanges(
    engine: Engine,
    asked: Asked,
    limit: int,
    patience_seconds: float | None = None,
    columns: Sequence[str] = COLUMNS,
) -> Iterator[dict[str, Any]]:
    """At most `limit` exchanges, the newest first: these columns, with each body as the text of its JSON.

    However many there are, only `PAGE` are in memory, and between two pages no connection is held.

    Args:
        engine: The database.
        asked: Which.
        limit: How many at most.
        patience_seconds: How long the database may take for a page; None is for ever.
        columns: Of `COLUMNS`, `request_id` among them.

    Raises:
        DBAPIError: The database is away, or takes longer (`took_too_long`).
    """
    while limit > 0:
        size = min(limit, PAGE)
        with _connected(engine, patience_seconds) as connection:
            page = [dict(row) for row in connection.execute(_query(asked, columns).limit(size)).mappings()]
        yield from page
        if len(page) < size:
            return
        limit -= size
        asked = replace(asked, before=page[-1]["request_id"])


def exchange(engine: Engine, request_id: str, patience_seconds: float | None = None) -> dict[str, Any] | None:
    """The exchange with this id as `exchanges` has it; None if there is none.

    Raises:
        DBAPIError: The database is away, or takes longer.
    """
    query = select(*_selected(COLUMNS)).where(Traffic.request_id == request_id)
    with _connected(engine, patience_seconds) as connection:
        found = connection.execute(query).mappings().first()
    return dict(found) if found else None


def took_too_long(error: SQLAlchemyError) -> bool:
    """Whether it was our patience that ended, and not the database that failed."""
    why = getattr(error, "orig", None)
    return getattr(why, "sqlstate", "") == CANCELED or str(why) == "interrupted"


def counts(
    engine: Engine, since: datetime, until: datetime, per: Per, patience_seconds: float | None = None
) -> Iterator[dict[str, Any]]:
    """How many exchanges of each status there were in each minute or hour, and how long they took; oldest first.

    Args:
        engine: The database.
        since: The first moment that counts, aware of its zone.
        until: The first moment that is too late, aware of its zone.
        per: What is counted together.
        patience_seconds: How long the database may take; None is for ever.

    Yields:
        `moment` (its beginning, UTC), `status`, `exchanges`, `mean_ms`, `slowest_ms`.

    Raises:
        DBAPIError: The database is away, or takes longer.
    """
    took = Traffic.duration_ms
    # No word of `request_id`: it is not in the index that has all the rest.
    query = (
        select(
            literal_column(_BEGINNINGS[engine.dialect.name, per], Moment()).label("moment"),
            Traffic.status,
            func.count().label("exchanges"),
            func.avg(took).label("mean_ms"),
            func.max(took).label("slowest_ms"),
        )
        .where(Traffic.received_at >= since, Traffic.received_at < until)
        .group_by("moment", Traffic.status)
        .order_by("moment", Traffic.status)
    )
    with _connected(engine, patience_seconds) as connection:
        rows = connection.execute(query, execution_options={"yield_per": 1000})
        yield from map(dict, rows.mappings())


def as_json(exchange: dict[str, Any]) -> str:
    """An exchange as a JSON object."""
    return f"{{{','.join(f'{json.dumps(name)}:{_value(name, value)}' for name, value in exchange.items())}}}"


def _value(name: str, value: Any) -> str:  # noqa: ANN401 - of any column
    if name in BODIES:
        return value or "null"
    return json.dumps(value, default=written)


def _selected(names: Sequence[str]) -> list[Any]:
    return [
        cast(column, Text).label(column.key) if column.key in BODIES else column
        for column in (getattr(Traffic, name) for name in names)
    ]


def _query(asked: Asked, columns: Sequence[str]) -> Select[Any]:
    order = [column.desc() for column in _leading(asked)]
    return select(*_selected(columns)).where(*_conditions(asked)).order_by(*order, Traffic.request_id.desc())


def _conditions(asked: Asked) -> Iterator[ColumnElement[bool]]:
    """What holds for the rows asked for; time by `request_id` too, which is what they are in the order of."""
    if asked.since:
        yield Traffic.request_id >= least_id(asked.since - LEEWAY)
        yield Traffic.received_at >= asked.since
    if asked.until:
        yield Traffic.request_id < least_id(asked.until + LEEWAY)
        yield Traffic.received_at < asked.until
    if asked.before:
        yield Traffic.request_id < asked.before
    leading = _leading(asked)
    for column, value in _values(asked):
        yield column.between(value, value) if leading else column == value


def _leading(asked: Asked) -> list[Any]:
    """The column whose index is walked, where only one has a value; the rows are then ordered by it, as its index is.

    Asked for what equals a value, PostgreSQL knows that this order is none, and where the value is frequent it walks
    back over all exchanges until it meets it: for the version of long ago that is the whole log.
    """
    columns = [column for column, _ in _values(asked)]
    return columns if len(columns) == 1 else []


def _values(asked: Asked) -> list[tuple[Any, Any]]:
    """The columns that are to have a value, with it."""
    values = {Traffic.path: asked.path, Traffic.status: asked.status, Traffic.version: asked.version}
    return [
        (column, _storable(value) if isinstance(value, str) else value)
        for column, value in values.items()
        if value is not None
    ]


def _storable(word: str) -> str:
    """A text as the log has it (`traffic.record`)."""
    return word.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


@contextmanager
def _connected(engine: Engine, patience_seconds: float | None) -> Iterator[Connection]:
    """A connection whose statements end once they take longer than that."""
    with engine.connect() as connection:
        if patience_seconds is None:
            yield connection
        elif connection.dialect.name == "postgresql":
            connection.execute(text(f"SET LOCAL statement_timeout = {int(patience_seconds * 1000)}"))
            yield connection
        else:
            with _watched(connection, patience_seconds):
                yield connection


@contextmanager
def _watched(connection: Connection, seconds: float) -> Iterator[None]:
    """SQLite has no such bound of its own, but asks now and then whether to go on."""
    deadline, driver = time.monotonic() + seconds, connection.connection.driver_connection
    assert driver is not None  # noqa: S101 - it is connected
    driver.set_progress_handler(lambda: time.monotonic() > deadline, STEPS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)
