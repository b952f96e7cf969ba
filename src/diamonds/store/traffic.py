"""The log of exchanges: every request and its answer, one row each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.dialects import postgresql, sqlite

from diamonds.store.tables import Traffic


def record(engine: Engine, exchanges: Sequence[dict[str, Any]]) -> None:
    """Write exchanges, each a dict of the table's columns; one that is there already is left as it is."""
    dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(Traffic).on_conflict_do_nothing(index_elements=["request_id"])
    bodies = ("request_body", "response_body")
    rows = [exchange | {body: _storable(exchange[body]) for body in bodies} for exchange in exchanges]
    with engine.begin() as connection:
        connection.execute(statement, rows)


def _storable(body: Any) -> Any:  # noqa: ANN401 - JSON is anything
    """The body, or its JSON text where it holds what PostgreSQL's JSONB does not: NUL and lone surrogates."""
    text = json.dumps(body)
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return text
    return text if "\\u0000" in text else body
