"""The outbox: exchanges wait in local files until the database has them."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

logger = logging.getLogger(__name__)

#: How much of a file is shipped at once, or else one record.
BATCH_BYTES = 1_000_000
#: In seconds: what comes meanwhile is shipped together.
PAUSE_SECONDS = 0.1
#: In seconds: how often it is looked for what a dead process left, while there is something to ship.
ADOPT_SECONDS = 60.0
LEAST_WAIT_SECONDS, MOST_WAIT_SECONDS = 0.25, 30.0
#: A database that does not answer keeps a service no longer than this from ending.
MOST_STOP_SECONDS = 5.0
#: How every record begins.
BEGIN = b'{"request_id":"'

Ship = Callable[[Sequence[str]], None]


class Outbox:
    """Files of exchanges, a line each, that one process writes; what is written survives the death of the process.

    Lines are only ever added to the newest file, and only from older ones are they shipped, so that neither waits for
    the other (docs/adr/0004). A lock on a file beside them tells the living from the dead: the kernel drops it with
    the process.
    """

    def __init__(self, folder: Path, name: str | None = None) -> None:
        """Open a new outbox in the folder, or take over the one of a dead process by its name.

        Raises:
            BlockingIOError: The outbox belongs to a living process.
            OSError: The folder cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.name = name or f"{os.getpid()}-{uuid.uuid4().hex}"
        self._lock: IO[str] = (folder / f"{self.name}.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise
        self._guard = threading.Lock()
        self._older = sorted(folder.glob(f"{self.name}.*.jsonl"))
        self._shipped = 0  # bytes of the oldest
        self._waiting = sum(path.read_bytes().count(b"\n") for path in self._older)
        self._number = 1 + max((int(path.suffixes[-2][1:]) for path in self._older), default=0)
        self._newest: int | None = None
        self._size = 0

    def put(self, record: str) -> None:
        """Keep a record: a JSON object that begins with its `request_id`.

        Raises:
            OSError: The file could not be written; what was in it is as it was.
        """
        line = record.replace("\n", " ").encode() + b"\n"  # in JSON a line break is a space
        with self._guard:
            if self._newest is None:
                self._newest = os.open(self._path(), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            written = os.write(self._newest, line)
            if written < len(line):
                os.ftruncate(self._newest, self._size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._size += written
            self._waiting += 1

    def ship(self, ship: Ship) -> int:
        """Hand the oldest records to `ship` and forget them once it returns; answers how many they were."""
        if not self._older:
            self._close_newest()
        if not self._older:
            return 0
        lines, end = _read(self._older[0], self._shipped)
        records = [line.decode() for line in lines if line.startswith(BEGIN)]
        if records:
            ship(records)
        if len(records) < len(lines):
            self._put_aside([line for line in lines if not line.startswith(BEGIN)])
        self._shipped = end
        self._waiting -= len(lines)
        if not lines:
            self._older.pop(0).unlink()
            self._shipped = 0
        return len(lines)

    def __len__(self) -> int:
        """How many records wait."""
        return self._waiting

    @property
    def is_behind(self) -> bool:
        """Whether files wait that nothing is added to any more."""
        return bool(self._older)

    def close(self) -> None:
        """Close the files, and remove the outbox where nothing is left to ship."""
        self._close_newest()
        if not self._waiting:
            for path in [*self._older, self.folder / f"{self.name}.lock"]:
                path.unlink(missing_ok=True)
        self._lock.close()

    def _path(self) -> Path:
        return self.folder / f"{self.name}.{self._number:09}.jsonl"

    def _close_newest(self) -> None:
        """Let what was written so far be shipped; what comes next begins a new file."""
        with self._guard:
            if self._newest is not None:
                os.close(self._newest)
                self._older.append(self._path())
                self._newest, self._size = None, 0
                self._number += 1

    def _put_aside(self, lines: Sequence[bytes]) -> None:
        """Keep what is no record, for somebody to look at."""
        place = self.folder / f"{self.name}.unreadable"
        with place.open("ab") as file:
            file.writelines(line + b"\n" for line in lines)
        logger.error("%d lines of the outbox are no records of exchanges: they are kept in %s", len(lines), place)


def _read(path: Path, start: int) -> tuple[list[bytes], int]:
    """Whole lines of a file from a place on, and where they end; what lacks its end was never answered."""
    with path.open("rb") as file:
        file.seek(start)
        content = file.read(BATCH_BYTES)
        if b"\n" not in content:
            content += file.readline()
    whole = content[: content.rfind(b"\n") + 1]
    return whole.split(b"\n")[:-1], start + len(whole)  # not splitlines: JSON may have a carriage return between values


def find_waiting(folder: Path, request_id: str) -> dict[str, Any] | None:
    """The record with this id that waits in an outbox of the folder, of whatever process; None if there is none."""
    begin = b"\n" + BEGIN + f'{request_id}"'.encode()  # of a line: a body may hold an id likewise
    for path in folder.glob("*.jsonl"):
        try:
            content = b"\n" + path.read_bytes()
        except FileNotFoundError:
            continue  # shipped meanwhile
        place = content.find(begin)
        if place >= 0:
            record: dict[str, Any] = json.loads(content[place + 1 :].partition(b"\n")[0])
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
        if not self._wake.is_set():
            self._wake.set()

    def stop(self) -> None:
        """Ship what is left, if the database takes it, and end; the rest stays in the outbox's file."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(MOST_STOP_SECONDS)

    def _run(self) -> None:
        wait = LEAST_WAIT_SECONDS
        adopted = -ADOPT_SECONDS
        while True:
            stopping = self._stopping.is_set()
            try:
                _ship_all(self._outbox, self._ship)
                if time.monotonic() - adopted >= ADOPT_SECONDS:
                    self._adopt()
                    adopted = time.monotonic()
                wait = LEAST_WAIT_SECONDS
            except Exception as error:  # noqa: BLE001 - whatever the database says, the records are kept and tried again
                logger.warning("exchanges wait in %s: %s", self._outbox.folder, str(error).partition("\n")[0])
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

    def _adopt(self) -> None:
        """Ship and remove the outboxes of dead processes in the same folder; one that cannot be read is left there."""
        for lock in sorted(self._outbox.folder.glob("*.lock")):
            if lock.stem == self._outbox.name:
                continue
            try:
                orphan = Outbox(lock.parent, lock.stem)
            except BlockingIOError:
                continue  # its process lives
            except OSError as error:
                logger.error("the outbox %s cannot be read and is left as it is: %s", lock.stem, error)
                continue
            try:
                _ship_all(orphan, self._ship)
            finally:
                orphan.close()


def _ship_all(outbox: Outbox, ship: Ship) -> None:
    while outbox.ship(ship) or outbox.is_behind:
        pass
