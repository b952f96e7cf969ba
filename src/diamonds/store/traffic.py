"""The log of exchanges: every request and its answer, one row each."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import CompileError, DataError, DBAPIError, IntegrityError, StatementError
from sqlalchemy.orm import Session

from diamonds.store import partitions
from diamonds.store.database import writing
from diamonds.store.segment import BEGIN
from diamonds.store.tables import Traffic

logger = logging.getLogger(__name__)

#: What is raised for a record that no database takes: no JSON, or columns missing, unknown or out of bounds.
UNSTORABLE = (ValueError, KeyError, TypeError, OverflowError, RecursionError, StatementError, CompileError)
BODIES = ("request_body", "response_body")
#: How the codes begin by which PostgreSQL says that something is too long or too deep.
LIMIT_EXCEEDED = "54"
#: The table has no checks of its own: the code says that no partition takes the row, or that one was made meanwhile.
NO_PARTITION = "23514"
#: Characters that not every database can hold: NUL, and what may be a lone surrogate.
_ODD = re.compile(r"\\u(0000|[dD][89a-fA-F])")

#: The columns, and how PostgreSQL types what JSON has for them.
_COLUMNS = {
    "request_id": "text", "received_at": "timestamptz", "duration_ms": "float8", "method": "text", "path": "text",
    "status": "integer", "request_body": "jsonb", "response_body": "jsonb", "model": "text", "version": "text",
    "client": "text", "request_bytes": "integer", "response_bytes": "integer", "request_sha256": "text",
    "response_sha256": "text", "quoted": "text",
}  # fmt: skip
#: What SQLite makes of JSON for a column, where it is not simply the value.
_IN_SQLITE = {
    "received_at": "replace(substr(value ->> 'received_at', 1, 26), 'T', ' ')",
    "request_body": "nullif(value -> 'request_body', 'null')",
    "response_body": "nullif(value -> 'response_body', 'null')",
}
#: Records to rows in the database itself: it reads JSON quicker than Python does, and without holding Python up.
_INSERT = {
    "sqlite": text(  # each `value` as a text once, not anew for each column
        f"INSERT OR IGNORE INTO traffic ({', '.join(_COLUMNS)})"  # noqa: S608 - names of this file
        " WITH record AS MATERIALIZED (SELECT value FROM json_each(:records))"
        f" SELECT {', '.join(_IN_SQLITE.get(name, 'value ->> ' + repr(name)) for name in _COLUMNS)}"
        " FROM record"
    ),
    "postgresql": text(
        f"INSERT INTO traffic ({', '.join(_COLUMNS)}) SELECT {', '.join(_COLUMNS)}"  # noqa: S608 - names of this file
        " FROM jsonb_to_recordset(CAST(:records AS jsonb))"
        f" AS record ({', '.join(map(' '.join, _COLUMNS.items()))})"
        " ON CONFLICT (request_id) DO NOTHING"
    ),
}


#: Rows that are removed in one transaction.
PRUNED_AT_ONCE = 10_000
_PRUNE = text(
    "DELETE FROM traffic WHERE request_id IN"
    " (SELECT request_id FROM traffic WHERE request_id < :bound ORDER BY request_id LIMIT :most)"
)


def record(engine: Engine, records: Sequence[str]) -> list[str]:
    """Write exchanges, each a JSON object of the table's columns; one that is there already is left as it is.

    What the database cannot hold is written in a form it can: in PostgreSQL NUL in a text as U+FFFD, a body with NUL,
    a lone surrogate or a number beyond JSON as its JSON text.

    Returns:
        Those that it refuses all the same: they do not keep the others waiting.
    """
    plain, odd = f"[{','.join(records)}]", []
    if "\\u" in plain and _ODD.search(plain):  # most have no escape at all, which is found out sooner
        odd = [each for each in records if _ODD.search(each)]
        plain = f"[{','.join(each for each in records if not _ODD.search(each))}]"
    if engine.dialect.name == "postgresql":
        partitions.see_to_months(
            engine, {record[len(BEGIN) : len(BEGIN) + partitions.TOLD_APART_BY] for record in records}
        )
    try:
        with writing(engine).begin() as connection:
            written = connection.execute(_INSERT[engine.dialect.name], {"records": plain}).rowcount
    except DBAPIError as error:
        if _is_away(error):
            raise
        written = 0
    if written < len(records) - len(odd):  # some are there already, or are refused, which SQLite does without a word
        odd = _missing(engine, records)
    return [each for each in odd if not _record_by_itself(engine, each)]


def exchange(engine: Engine, request_id: str) -> dict[str, Any] | None:
    """The exchange with this id, as the table's columns; None if there is none."""
    with Session(engine) as session:
        found = session.get(Traffic, request_id)
        return {column.key: getattr(found, column.key) for column in Traffic.__table__.columns} if found else None


def prune(engine: Engine, before: datetime) -> int:
    """Remove the exchanges received before a moment; answers how many there were.

    PostgreSQL drops whole months and so gives their space back; SQLite uses the space again.

    Raises:
        DBAPIError: The database is away, or, of PostgreSQL, keeps a month in use for longer than we wait.
    """
    pruned = 0
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '10s'"))
            pruned += partitions.drop_before(connection, before)
    bound = {"bound": partitions.least_id(before), "most": PRUNED_AT_ONCE}
    while True:  # in pieces, so that what comes meanwhile does not wait for long
        with writing(engine).begin() as connection:
            deleted = connection.execute(_PRUNE, bound).rowcount
        if not deleted:
            return pruned
        pruned += deleted


def _is_away(error: DBAPIError) -> bool:
    """Whether it is the database that failed, and not what it was given."""
    state = str(getattr(error.orig, "sqlstate", ""))
    if state == NO_PARTITION:
        return True
    is_about_the_record = (
        isinstance(error, (DataError, IntegrityError))
        or "malformed JSON" in str(error.orig)
        or state.startswith(LIMIT_EXCEEDED)
    )
    return error.connection_invalidated or not is_about_the_record


def _missing(engine: Engine, records: Sequence[str]) -> list[str]:
    """Those whose id the database does not have: what was shipped before its process died is not written one by one."""
    ids = {record: record[len(BEGIN) :].partition('"')[0] for record in records}
    there = select(Traffic.request_id).where(Traffic.request_id.in_(set(ids.values())))
    with engine.connect() as connection:
        known = set(connection.scalars(there))
    return [record for record in records if ids[record] not in known]


def _record_by_itself(engine: Engine, record: str) -> bool:
    """Whether the database has it now; if not, it never will."""
    dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(Traffic).on_conflict_do_nothing(index_elements=["request_id"])
    try:
        row = _storable(_parse(record))
        with writing(engine).begin() as connection:
            connection.execute(statement, row)
    except UNSTORABLE as error:
        if isinstance(error, DBAPIError) and _is_away(error):
            raise
        why = str(error.orig if isinstance(error, DBAPIError) else error).partition("\n")[0]
        logger.error("exchange %s cannot be stored: %s", record.split('"', 4)[3][:36], why)
        return False
    return True


def _parse(record: str) -> dict[str, Any]:
    """The columns of a record.

    Raises:
        ValueError: It is not JSON, or a column holds what is none of its kind.
    """
    exchange: dict[str, Any] = json.loads(record)
    for column, value in exchange.items():
        if column not in BODIES and isinstance(value, (dict, list)):
            raise ValueError(f"{column} is no single value")
    return exchange


def _storable(exchange: dict[str, Any]) -> dict[str, Any]:
    texts = {key: _text(value) for key, value in exchange.items() if isinstance(value, str)}
    bodies = {body: _body(exchange[body]) for body in BODIES}
    return exchange | texts | bodies | {"received_at": datetime.fromisoformat(exchange["received_at"])}


def _text(text: str) -> str:
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def _body(body: Any) -> Any:  # noqa: ANN401 - JSON is anything
    text = json.dumps(body)
    try:
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return text
    return text if "\\u0000" in text else body
