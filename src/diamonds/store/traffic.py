"""The log of exchanges: every request and its answer, one row each."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError

from diamonds.store.database import writing
from diamonds.store.tables import Traffic

logger = logging.getLogger(__name__)


def record(engine: Engine, exchanges: Sequence[dict[str, Any]]) -> None:
    """Write exchanges, each a dict of the table's columns; one that is there already is left as it is.

    What PostgreSQL cannot hold is written in a form it can: NUL in a text as U+FFFD, a body with NUL, a lone surrogate
    or a number beyond JSON as its JSON text. One that it refuses all the same is logged and left out, so that it does
    not keep the others waiting.
    """
    rows = [_storable(exchange) for exchange in exchanges]
    try:
        _insert(engine, rows)
    except DataError:
        for row in rows:
            try:
                _insert(engine, [row])
            except DataError as error:
                logger.error("exchange %s cannot be stored: %s", row["request_id"], error.orig)


def _insert(engine: Engine, rows: list[dict[str, Any]]) -> None:
    dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(Traffic).on_conflict_do_nothing(index_elements=["request_id"])
    with writing(engine).begin() as connection:
        connection.execute(statement, rows)


def _storable(exchange: dict[str, Any]) -> dict[str, Any]:
    texts = {key: _text(value) for key, value in exchange.items() if isinstance(value, str)}
    return exchange | texts | {body: _body(exchange[body]) for body in ("request_body", "response_body")}


def _text(text: str) -> str:
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def _body(body: Any) -> Any:  # noqa: ANN401 - JSON is anything
    text = json.dumps(body)
    try:
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return text
    return text if "\\u0000" in text else body
