"""The outbox: exchanges wait in a local file until the database has them."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sqlite3
import threading
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

logger = logging.getLogger(__name__)

BATCH = 500
LEAST_WAIT_SECONDS, MOST_WAIT_SECONDS = 0.25, 30.0
#: A database that does not answer keeps a service no longer than this from ending.
MOST_STOP_SECONDS = 8.0

Ship = Callable[[Sequence[dict[str, Any]]], None]


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
        except sqlite3.Error:
            self._file.close()
            self._lock.close()
            raise

    def put(self, record: dict[str, Any]) -> None:
        """Keep a record.

        Raises:
            sqlite3.Error: The file could not be written.
        """
        text = json.dumps(record)
        with self._guard:
            self._file.execute("INSERT INTO exchange (record) VALUES (?)", (text,))

    def ship(self, ship: Ship) -> int:
        """Hand the oldest records to `ship` and forget them once it returns; answers how many they were."""
        with self._guard:
            rows = self._file.execute("SELECT id, record FROM exchange ORDER BY id LIMIT ?", (BATCH,)).fetchall()
        if rows:
            ship([json.loads(record) for _, record in rows])
            with self._guard:
                self._file.execute("DELETE FROM exchange WHERE id <= ?", (rows[-1][0],))
        return len(rows)

    def close(self) -> None:
        """Close the file, and remove it where nothing is left to ship."""
        with self._guard:
            try:
                empty = self._file.execute("SELECT count(*) FROM exchange").fetchone() == (0,)
            except sqlite3.Error:
                empty = False  # what cannot be read is kept
            self._file.close()
        if empty:
            for suffix in (".sqlite", ".sqlite-wal", ".sqlite-shm", ".lock"):
                self.path.with_suffix(suffix).unlink(missing_ok=True)
        self._lock.close()


class Shipper:
    """A thread that moves an outbox into the database, and what dead processes left beside it first."""

    def __init__(self, outbox: Outbox, ship: Ship) -> None:
        """Prepare; `start` starts the thread."""
        self._outbox = outbox
        self._ship = ship
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
                    self._stopping.wait(wait)
                    continue
            if stopping:
                return
            self._wake.wait()
            self._wake.clear()

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
