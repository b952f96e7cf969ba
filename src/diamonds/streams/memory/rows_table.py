"""The table `data_<feed>`: the rows in the order in which they were learned, and nothing that was learned."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Connection,
    Double,
    Engine,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    delete,
    insert,
    select,
)
from sqlalchemy import Column as TableColumn
from sqlalchemy.schema import CreateTable
from sqlalchemy.types import TypeEngine

from diamonds.store.tables import Moment
from diamonds.streams.spec import FeedSpec, Row

#: Of SQLite, an integer primary key is the row's own number, and needs no index beside it.
KEY = BigInteger().with_variant(Integer, "sqlite")
TYPES: Mapping[str, TypeEngine[Any]] = {"number": Double(), "boolean": Boolean(), "text": Text()}
#: Rows that are read at once, and keys that are asked for at once: a database takes only so many parameters.
READ_AT_ONCE, ASKED_AT_ONCE = 10_000, 10_000


class RowsTable:
    """The rows of one feed.

    Attributes:
        fields: The key and the columns, in their order.
    """

    def __init__(self, spec: FeedSpec) -> None:
        """Describe the table; nothing is made yet."""
        self.fields = spec.fields
        self._numbers = [name for name, column in spec.columns.items() if column.type == "number"]
        self._table = Table(
            f"data_{spec.name}",
            MetaData(),
            TableColumn(spec.key, KEY, primary_key=True, autoincrement=False),
            *(TableColumn(name, TYPES[column.type], nullable=False) for name, column in spec.columns.items()),
            TableColumn("position", BigInteger, nullable=False),  # 1, 2, …: the order in which rows were learned
            TableColumn("page", BigInteger, nullable=False),
            TableColumn("seen_at", Moment, nullable=False),
            UniqueConstraint("position"),
        )
        self._key, self._position = self._table.c[spec.key], self._table.c.position
        self._asked = [self._table.c[name] for name in self.fields]

    def make(self, connection: Connection) -> None:
        """Make the table where it is missing."""
        connection.execute(CreateTable(self._table, if_not_exists=True))

    def drop(self, connection: Connection) -> None:
        """Remove the table and all rows, where it is there."""
        self._table.drop(connection, checkfirst=True)

    def clean(self, row: Row) -> dict[str, Any]:
        """The row as the database will give it back: SQLite keeps no negative zero."""
        cleaned = {name: row[name] for name in self.fields}
        for name in self._numbers:
            cleaned[name] = float(cleaned[name]) + 0.0
        return cleaned

    def insert(
        self, connection: Connection, rows: Iterable[tuple[int, Mapping[str, Any]]], before: int, now: datetime
    ) -> None:
        """Add rows, each with the page it came on; so many rows were there before."""
        added = [
            {**row, "position": position, "page": page, "seen_at": now}
            for position, (page, row) in enumerate(rows, before + 1)
        ]
        if added:
            connection.execute(insert(self._table), added)

    def known(self, connection: Connection, keys: Collection[int]) -> dict[int, dict[str, Any]]:
        """Those of the keys that are there, with their rows."""
        asked, found = sorted(keys), {}
        for start in range(0, len(asked), ASKED_AT_ONCE):
            some = select(*self._asked).where(self._key.in_(asked[start : start + ASKED_AT_ONCE]))
            found.update({row[0]: dict(zip(self.fields, row, strict=True)) for row in connection.execute(some)})
        return found

    def page_of(self, connection: Connection, key: int | None) -> int | None:
        """The page on which a row was learned; None where it was not."""
        found: int | None = connection.execute(select(self._table.c.page).where(self._key == key)).scalar()
        return found

    def newest(self, connection: Connection, most: int) -> list[tuple[Any, ...]]:
        """The fields of the newest rows, the last one last."""
        found = connection.execute(select(*self._asked).order_by(self._position.desc()).limit(most))
        return [tuple(row) for row in found][::-1]

    def read(self, engine: Engine, until: int) -> Iterator[dict[str, Any]]:
        """The first `until` rows in their order; no transaction is held open between them."""
        for after in range(0, until, READ_AT_ONCE):
            with engine.connect() as connection:
                some = self._between(connection, after, min(after + READ_AT_ONCE, until))
            yield from (dict(zip(self.fields, row, strict=True)) for row in some)

    def clear(self, connection: Connection) -> None:
        """Remove all rows."""
        connection.execute(delete(self._table))

    def _between(self, connection: Connection, after: int, until: int) -> Sequence[Any]:
        asked = select(*self._asked).where(self._position > after, self._position <= until).order_by(self._position)
        return connection.execute(asked).all()
