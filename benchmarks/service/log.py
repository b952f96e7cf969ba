"""The traffic log, looked at from outside: every request that was answered is to be one row."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine, func, select

from diamonds.config import Settings
from diamonds.store.database import open_database
from diamonds.store.tables import Traffic

#: A log that lags behind further has failed.
PATIENCE_SECONDS = 120


class TrafficLog:
    """The rows of a database's traffic, beside the requests that a service answered."""

    def __init__(self, url: str) -> None:
        """Read this database."""
        self.answered = 0
        self.engine: Engine = open_database(Settings(database_url=url))

    @classmethod
    def of_project(cls, project: Path) -> Self:
        """Read the database of a project."""
        return cls(f"sqlite:///{project}/data/diamonds.db")

    def rows(self) -> int:
        """How many rows there are."""
        with self.engine.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(Traffic)).scalar_one())

    def ids(self) -> list[str]:
        """The id of each row."""
        with self.engine.connect() as connection:
            return list(connection.execute(select(Traffic.request_id)).scalars())

    def exchanges(self) -> Iterator[dict[str, Any]]:
        """Each row, by the names of its columns."""
        with self.engine.connect() as connection:
            found = connection.execution_options(yield_per=1_000).execute(select(*Traffic.__table__.columns))
            yield from (dict(row) for row in found.mappings())

    def wait(self) -> float:
        """Wait until there is a row for each request answered so far, or for long; answers the seconds it took."""
        began = time.monotonic()
        while self.rows() < self.answered and time.monotonic() < began + PATIENCE_SECONDS:
            time.sleep(0.1)
        return time.monotonic() - began
