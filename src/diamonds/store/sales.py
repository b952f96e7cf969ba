"""What was really paid for stones that were quoted, one row a stone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Engine, select, update
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


def assign(
    engine: Engine, is_wanted: Callable[[Sale], bool], name_of: Callable[[Sequence[Sale]], str]
) -> Sequence[Sale]:
    """Give all wanted sales that belong to no file yet to one, in one transaction; answers the unwanted."""
    free = select(Sale).where(Sale.exported_to.is_(None)).order_by(Sale.request_id, Sale.position)
    with Session(writing(engine), expire_on_commit=False) as session, session.begin():
        found = session.scalars(free.with_for_update()).all()  # in PostgreSQL a second export waits for the first
        wanted = [sale for sale in found if is_wanted(sale)]
        name = name_of(wanted) if wanted else None
        for sale in wanted:
            sale.exported_to = name
    return [sale for sale in found if sale.exported_to is None]


def unwritten(engine: Engine) -> dict[str, list[Sale]]:
    """The sales of each file that is not known to be written, in the order of their quotes."""
    pending = select(Sale).where(Sale.exported_to.is_not(None), Sale.exported_at.is_(None))
    with Session(engine) as session:
        found = session.scalars(pending.order_by(Sale.exported_to, Sale.request_id, Sale.position)).all()
    return {str(name): list(its) for name, its in groupby(found, lambda sale: sale.exported_to)}


def mark_written(engine: Engine, name: str) -> None:
    """Enter that a file is there."""
    with Session(writing(engine)) as session, session.begin():
        session.execute(update(Sale).where(Sale.exported_to == name).values(exported_at=datetime.now(UTC)))


def recorded(engine: Engine, since: datetime, until: datetime, limit: int) -> list[Sale]:
    """At most `limit` sales that were recorded from `since` on and before `until`, the newest first."""
    within = select(Sale).where(Sale.recorded_at >= since, Sale.recorded_at < until)
    newest_first = within.order_by(Sale.recorded_at.desc(), Sale.request_id.desc(), Sale.position.desc())
    with Session(engine) as session:
        return list(session.scalars(newest_first.limit(limit)))
