"""What was really paid for stones that were quoted, one row a stone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from diamonds.errors import SaleConflictError
from diamonds.store.database import writing
from diamonds.store.tables import Sale

#: The position of a stone that was quoted alone.
ALONE = -1


def record(
    engine: Engine,
    request_id: str,
    position: int | None,
    price: float,
    **quoted: Any,  # noqa: ANN401 - columns of the table
) -> Sale:
    """Record a sale; the same one again changes nothing.

    Args:
        engine: The database.
        request_id: Of the exchange in which the stone was quoted.
        position: Of the stone among those of a batch; None if it was quoted alone.
        price: In dollars.
        quoted: What was quoted for which stone, by which model: `stone`, `quote`, `model`, `version`.

    Raises:
        SaleConflictError: The stone is recorded as sold for another price.
    """
    dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
    place = ALONE if position is None else position
    row = {"request_id": request_id, "position": place, "price": price, "recorded_at": datetime.now(UTC)} | quoted
    with Session(writing(engine), expire_on_commit=False) as session, session.begin():
        session.execute(dialect.insert(Sale).on_conflict_do_nothing(), [row])
        kept = session.get_one(Sale, (request_id, place))
    if kept.price != price:
        raise SaleConflictError(f"this stone is recorded as sold for {kept.price:,.2f} USD already")
    return kept
