"""The traffic log, looked at from outside: every request that was answered is to be one row."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

#: A log that lags behind further has failed.
PATIENCE_SECONDS = 120


class TrafficLog:
    """The rows of a project's traffic, beside the requests that its service answered."""

    def __init__(self, project: Path) -> None:
        """Read the database of a project."""
        self.answered = 0
        self._database = f"file:{project}/data/diamonds.db?mode=ro"

    def rows(self) -> int:
        """How many rows there are."""
        with closing(sqlite3.connect(self._database, uri=True, timeout=PATIENCE_SECONDS)) as connection:
            return int(connection.execute("SELECT count(*) FROM traffic").fetchone()[0])

    def wait(self) -> float:
        """Wait until there is a row for each request answered so far, or for long; answers the seconds it took."""
        began = time.monotonic()
        while self.rows() < self.answered and time.monotonic() < began + PATIENCE_SECONDS:
            time.sleep(0.1)
        return time.monotonic() - began
