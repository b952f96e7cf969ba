"""The log of exchanges: every request and its answer, one row each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.dialects import postgresql, sqlite

from diamonds.store.tables import Traffic


def record(engine: Engine, exchanges: Sequence[dict[str, Any]]) -> None:
    """Write exchanges, each a dict of the table's columns; one that is there already is left as it is."""
    dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(Traffic).on_conflict_do_nothing(index_elements=["request_id"])
    with engine.begin() as connection:
        connection.execute(statement, list(exchanges))
