"""The outbox: exchanges wait in a local file until the database has them."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import IO, Any

logger = logging.getLogger(__name__)

#: Records are shipped so many at once, or fewer where these make more characters.
BATCH, BATCH_CHARACTERS = 500, 4_000_000
#: In seconds: what comes meanwhile is shipped together.
PAUSE_SECONDS = 0.1
LEAST_WAIT_SECONDS, MOST_WAIT_SECONDS = 0.25, 30.0
#: A database that does not answer keeps a service no longer than this from ending.
MOST_STOP_SECONDS = 8.0

Ship = Callable[[Sequence[str]], None]


class Outbox:
    """A file of exchanges that one process writes; it survives the death of the process.

    SQLite in WAL mode keeps what was committed through a crash of the process without a sync per record
    (docs/adr/0004). A lock on a file beside it tells the living from the dead: the kernel drops it with the process.
    """

    def __init__(self, folder: Path, name: str | None = None) -> None:
        """Open a new outbox in the folder, or take over the one of a dead process by its name.

        Raises:
            BlockingIOError: The outbox belongs to a living process.
            sqlite3.Error: The file is not an outbox, or cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / (name or f"{os.getpid()}-{uuid.uuid4().hex}.sqlite")
        self._lock: IO[str] = self.path.with_suffix(".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise
        self._guard = threading.Lock()
        self._file = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.execute("PRAGMA synchronous=NORMAL")
            self._file.execute("CREATE TABLE IF NOT EXISTS exchange (id INTEGER PRIMARY KEY, record TEXT NOT NULL)")
            self._waiting = int(self._file.execute("SELECT count(*) FROM exchange").fetchone()[0])
        except sqlite3.Error:
            self._file.close()
            self._lock.close()
            raise

    def put(self, record: str) -> None:
        """Keep a record, a JSON object that begins with its `request_id`.

        Raises:
            sqlite3.Error: The file could not be written.
        """
        with self._guard:
            self._file.execute("INSERT INTO exchange (record) VALUES (?)", (record,))
            self._waiting += 1

    def ship(self, ship: Ship) -> int:
        """Hand the oldest records to `ship` and forget them once it returns; answers how many they were."""
        with self._guard:
            rows = list(_first(self._file.execute("SELECT id, record FROM exchange ORDER BY id LIMIT ?", (BATCH,))))
        if rows:
            ship([record for _, record in rows])
            with self._guard:
                self._file.execute("DELETE FROM exchange WHERE id <= ?", (rows[-1][0],))
                self._waiting -= len(rows)
        return len(rows)

    def __len__(self) -> int:
        """How many records wait."""
        return self._waiting

    def close(self) -> None:
        """Close the file, and remove it where nothing is left to ship."""
        with self._guard:
            try:
                empty = self._file.execute("SELECT 1 FROM exchange").fetchone() is None
            except sqlite3.Error:
                empty = False  # what cannot be read is kept
            self._file.close()
        if empty:
            for suffix in (".sqlite", ".sqlite-wal", ".sqlite-shm", ".lock"):
                self.path.with_suffix(suffix).unlink(missing_ok=True)
        self._lock.close()


def _first(rows: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The first of them, as many as are shipped at once."""
    characters = 0
    for row in rows:
        yield row
        characters += len(row[1])
        if characters >= BATCH_CHARACTERS:
            return


def find_waiting(folder: Path, request_id: str) -> dict[str, Any] | None:
    """The record with this id that waits in an outbox of the folder, of whatever process; None if there is none."""
    for path in folder.glob("*.sqlite"):
        try:
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as file:
                found = file.execute(
                    "SELECT record FROM exchange WHERE record LIKE ?", (f'{{"request_id":"{request_id}"%',)
                ).fetchone()
        except sqlite3.Error as error:
            logger.warning("the outbox %s cannot be read: %s", path, error)
            continue
        if found:
            record: dict[str, Any] = json.loads(found[0])
            return record
    return None


class Shipper:
    """A thread that moves an outbox into the database, and what dead processes left beside it first."""

    def __init__(self, outbox: Outbox, ship: Ship, told: Callable[[int], None] | None = None) -> None:
        """Prepare; `start` starts the thread. `told` is called with how many records wait, after each attempt."""
        self._outbox = outbox
        self._ship = ship
        self._told = told
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shipper", daemon=True)

    def start(self) -> None:
        """Start shipping."""
        self._thread.start()

    def notify(self) -> None:
        """Say that there is something to ship."""
        self._wake.set()

    def stop(self) -> None:
        """Ship what is left, if the database takes it, and end; the rest stays in the outbox's file."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(MOST_STOP_SECONDS)

    def _run(self) -> None:
        wait = LEAST_WAIT_SECONDS
        adopted = False
        while True:
            stopping = self._stopping.is_set()
            try:
                while self._outbox.ship(self._ship):
                    pass
                adopted = adopted or self._adopt()
                wait = LEAST_WAIT_SECONDS
            except Exception as error:  # noqa: BLE001 - whatever the database says, the records are kept and tried again
                logger.warning("exchanges wait in %s: %s", self._outbox.path, str(error).partition("\n")[0])
                wait = min(2 * wait, MOST_WAIT_SECONDS)
                if not stopping:
                    self._tell()
                    self._stopping.wait(wait)
                    continue
            self._tell()
            if stopping:
                return
            self._wake.wait()
            self._wake.clear()
            self._stopping.wait(PAUSE_SECONDS)

    def _tell(self) -> None:
        if self._told is not None:
            self._told(len(self._outbox))

    def _adopt(self) -> bool:
        """Ship and remove the outboxes of dead processes in the same folder; one that cannot be read is left there."""
        for path in sorted(self._outbox.path.parent.glob("*.sqlite")):
            if path == self._outbox.path:
                continue
            try:
                orphan = Outbox(path.parent, path.name)
            except BlockingIOError:
                continue  # its process lives
            except (sqlite3.Error, OSError) as error:
                logger.error("the outbox %s cannot be read and is left as it is: %s", path, error)
                continue
            try:
                while orphan.ship(self._ship):
                    pass
            except sqlite3.Error as error:
                logger.error("the outbox %s cannot be read to its end and is left as it is: %s", path, error)
            finally:
                orphan.close()
        return True
