"""The months of the traffic log: PostgreSQL keeps each in a partition of its own, which is dropped in a moment.

They are told apart by `request_id`, a UUID of version 7: it begins with the time in milliseconds, so that ids sort by
age and the id alone is the primary key (docs/adr/0014).
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

logger = logging.getLogger(__name__)

#: Any number of our own: of two that make a month at once, the second waits for the first.
LOCK = 53941
#: What has no month of its own: exchanges of clocks that went wrong, and of the time before there were months.
REST = "traffic_rest"
#: An id from before says that a clock went wrong; so does one from this far ahead.
FIRST_YEAR, AHEAD = 2020, timedelta(days=2)
#: So many characters of an id tell its month, but for the 65 seconds in which one ends.
TOLD_APART_BY = 8
#: How many months after this one `diamonds migrate` makes: a scheduled one may fail twice before rows go to the rest.
MONTHS_AHEAD = 3
#: In seconds: how long a month that cannot be made is left alone.
AGAIN_SECONDS = 600.0
#: PostgreSQL's words for: no right to, the name is taken, or missing, somebody else keeps a lock, a deadlock.
CANNOT_BE_MADE = {"42501", "42P07", "42P01", "55P03", "40P01"}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def least_id(moment: datetime) -> str:
    """What sorts before every id of this millisecond and of later ones, and after all earlier ids.

    >>> least_id(datetime(2026, 11, 1, tzinfo=UTC))
    '01a19467-e800'
    """
    milliseconds = (moment - EPOCH) // timedelta(milliseconds=1)
    return f"{milliseconds >> 16:08x}-{milliseconds & 0xFFFF:04x}"


def months_of(request_ids: Iterable[str]) -> set[date]:
    """The first days of the months of these ids, and of those that follow; those of clocks gone wrong left out.

    Args:
        request_ids: Or their beginnings.
    """
    found = set()
    latest = datetime.now(UTC) + AHEAD
    for beginning in {request_id[:TOLD_APART_BY] for request_id in request_ids}:
        try:
            moment = EPOCH + timedelta(milliseconds=int(beginning, 16) << 16)
        except (ValueError, OverflowError):
            continue
        if moment.year >= FIRST_YEAR and moment <= latest:
            month = moment.date().replace(day=1)
            found |= {month, _following(month)}
    return found


#: The months of a database that are there, and when one that could not be made is tried again.
_made_or_due: dict[tuple[str, date], float] = {}


def see_to_months(engine: Engine, request_ids: Iterable[str]) -> None:
    """See that there are the months of these ids (or of their beginnings), and those after them, ahead of time.

    Where one cannot be made now, nothing waits for it: its rows go to the rest, and move when it is made.

    Raises:
        DBAPIError: The database is away.
    """
    for month in sorted(months_of(request_ids)):
        known = (str(engine.url), month)
        if _made_or_due.get(known, 0.0) > time.monotonic():
            continue
        try:
            _make_quickly(engine, month)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in CANNOT_BE_MADE:
                raise
            why = str(error.orig).partition("\n")[0]
            logger.warning("exchanges of %s share a partition until one can be made: %s", month, why)
            _made_or_due[known] = time.monotonic() + AGAIN_SECONDS
        else:
            _made_or_due[known] = math.inf


def _make_quickly(engine: Engine, month: date) -> None:
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL lock_timeout = '1s'"))
        make_months(connection, month, month)


def make_ahead(connection: Connection) -> None:
    """Make the partitions of this month and of the `MONTHS_AHEAD` after it."""
    last = today = datetime.now(UTC).date()
    for _ in range(MONTHS_AHEAD):
        last = _following(last)
    make_months(connection, today, last)


def make_months(connection: Connection, first: date, last: date) -> None:
    """Make the partitions from the month of one day to that of another, those left out that are there."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    known = set(known_months(connection))
    month = first.replace(day=1)
    while month <= last:
        if month not in known:
            _make(connection, month)
        month = _following(month)


def known_months(connection: Connection) -> Iterator[date]:
    """The months that have a partition."""
    names = text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'traffic'::regclass")
    for name in connection.scalars(names):
        if found := re.search(r"traffic_(\d{4})_(\d{2})$", name):
            yield date(int(found[1]), int(found[2]), 1)


def drop_before(connection: Connection, moment: datetime) -> int:
    """Drop the months that were over at this moment; answers how many exchanges they held."""
    # Making a month locks the rest and then the whole, dropping one the other way round.
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    over = sorted(month for month in known_months(connection) if _midnight(_following(month)) <= moment)
    # All are counted before the first is dropped: from then on nobody can read or write until the end.
    dropped = sum(connection.scalar(text(f"SELECT count(*) FROM {_name(month)}")) or 0 for month in over)  # noqa: S608
    for month in over:
        connection.execute(text(f"DROP TABLE {_name(month)}"))
    return dropped


def _make(connection: Connection, month: date) -> None:
    """Make a month's partition, and move there what was kept with the rest meanwhile."""
    name, begin, end = _name(month), least_id(_midnight(month)), least_id(_midnight(_following(month)))
    moved = f"DELETE FROM {REST} WHERE request_id >= '{begin}' AND request_id < '{end}' RETURNING *"  # noqa: S608
    for statement in (
        f"LOCK TABLE {REST} IN ACCESS EXCLUSIVE MODE",  # so that nothing is added to it meanwhile
        f"CREATE TABLE {name} (LIKE traffic INCLUDING DEFAULTS)",
        f"WITH moved AS ({moved}) INSERT INTO {name} SELECT * FROM moved",  # noqa: S608
        f"ALTER TABLE traffic ATTACH PARTITION {name} FOR VALUES FROM ('{begin}') TO ('{end}')",
    ):
        connection.execute(text(statement))


def _name(month: date) -> str:
    return f"traffic_{month:%Y_%m}"


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _following(day: date) -> date:
    """The first day of the month after that of a day."""
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1)
