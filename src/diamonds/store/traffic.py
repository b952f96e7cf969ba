"""The log of exchanges: every request and its answer, one row each."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from diamonds.store.database import writing
from diamonds.store.tables import Traffic

logger = logging.getLogger(__name__)

#: Characters that not every database can hold: NUL, and what may be a lone surrogate.
_ODD = re.compile(r"\\u(0000|[dD][89a-fA-F])")

#: Records to rows in the database itself: it reads JSON quicker than Python does, and without holding Python up.
_INSERT = {
    "sqlite": text(
        """
        INSERT OR IGNORE INTO traffic (request_id, received_at, duration_ms, method, path, status,
                                       request_body, response_body, model, version, client)
        SELECT value ->> 'request_id', replace(substr(value ->> 'received_at', 1, 26), 'T', ' '),
               value ->> 'duration_ms', value ->> 'method', value ->> 'path', value ->> 'status',
               nullif(value -> 'request_body', 'null'), nullif(value -> 'response_body', 'null'),
               value ->> 'model', value ->> 'version', value ->> 'client'
        FROM json_each(:records)
        """
    ),
    "postgresql": text(
        """
        INSERT INTO traffic (request_id, received_at, duration_ms, method, path, status,
                             request_body, response_body, model, version, client)
        SELECT request_id, received_at, duration_ms, method, path, status,
               request_body, response_body, model, version, client
        FROM jsonb_to_recordset(CAST(:records AS jsonb)) AS record (
               request_id text, received_at timestamptz, duration_ms float8, method text, path text, status integer,
               request_body jsonb, response_body jsonb, model text, version text, client text)
        ON CONFLICT (request_id) DO NOTHING
        """
    ),
}


def record(engine: Engine, records: Sequence[str]) -> None:
    """Write exchanges, each a JSON object of the table's columns; one that is there already is left as it is.

    What the database cannot hold is written in a form it can: in PostgreSQL NUL in a text as U+FFFD, a body with NUL,
    a lone surrogate or a number beyond JSON as its JSON text. One that it refuses all the same is logged and left out,
    so that it does not keep the others waiting.
    """
    plain, odd = f"[{','.join(records)}]", []
    if _ODD.search(plain):
        odd = [each for each in records if _ODD.search(each)]
        plain = f"[{','.join(each for each in records if not _ODD.search(each))}]"
    try:
        with writing(engine).begin() as connection:
            connection.execute(_INSERT[engine.dialect.name], {"records": plain})
    except DBAPIError as error:
        if _is_away(error):
            raise
        odd = list(records)
    for each in odd:
        _record_by_itself(engine, each)


def exchange(engine: Engine, request_id: str) -> dict[str, Any] | None:
    """The exchange with this id, as the table's columns; None if there is none."""
    with Session(engine) as session:
        found = session.get(Traffic, request_id)
        return {column.key: getattr(found, column.key) for column in Traffic.__table__.columns} if found else None


def _is_away(error: DBAPIError) -> bool:
    """Whether it is the database that failed, and not what it was given."""
    is_about_the_record = isinstance(error, (DataError, IntegrityError)) or "malformed JSON" in str(error.orig)
    return error.connection_invalidated or not is_about_the_record


def _record_by_itself(engine: Engine, record: str) -> None:
    try:
        row = _storable(json.loads(record))
    except ValueError as error:
        logger.error("an exchange cannot be read, so it is not stored: %s: %s", error, record)
        return
    dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(Traffic).on_conflict_do_nothing(index_elements=["request_id"])
    try:
        with writing(engine).begin() as connection:
            connection.execute(statement, row)
    except DBAPIError as error:
        if _is_away(error):
            raise
        logger.error("exchange %s cannot be stored: %s", row["request_id"], error.orig)


def _storable(exchange: dict[str, Any]) -> dict[str, Any]:
    texts = {key: _text(value) for key, value in exchange.items() if isinstance(value, str)}
    bodies = {body: _body(exchange[body]) for body in ("request_body", "response_body")}
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
