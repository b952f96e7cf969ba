"""The outbox: exchanges wait in local files until the database has them."""

from __future__ import annotations

import errno
import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from diamonds.store.backlog import Backlog, Ship, Tally
from diamonds.store.outbox_folder import (
    bytes_in,
    is_at,
    lock_path,
    make_lock,
    new_owner,
    segment_path,
    segment_paths,
)
from diamonds.store.segment import BEGIN, find_line

logger = logging.getLogger(__name__)

MIB = 1024 * 1024
#: A file that holds so much is closed and a new one begun.
SEGMENT_BYTES = 16 * MIB
#: Of the outboxes of all processes in a folder.
MOST_BYTES = 1024 * MIB
#: In seconds: a place that cannot be written, or is full, is not tried more often.
RETRY_SECONDS = 1.0
#: In seconds: so far may the clocks of an exchange and of its file be apart.
SLACK_SECONDS = 60.0
ID_LENGTH = 36


@dataclass(frozen=True)
class Report:
    """How an outbox does.

    Attributes:
        waiting: Records that wait for the database.
        size: Of the outboxes of all processes in the folder, in bytes.
        unreadable: Lines that were kept aside since the last report.
        lost: Exchanges that were removed by somebody else since the last report.
    """

    waiting: int
    size: int
    unreadable: int
    lost: int


class Outbox:
    """Files of exchanges, a line each, that one process writes; what is written survives the death of the process.

    Lines are only ever added to the newest file, and only from older ones are they shipped, so that neither waits for
    the other (docs/adr/0004). A place that cannot be written keeps nobody from making an outbox: it is tried again.
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES, clock: Callable[[], float] = time.monotonic) -> None:
        """Open a new outbox in the folder, which is made where it is missing.

        Args:
            folder: It may be other processes' too.
            most_bytes: What all outboxes in the folder may take: what is kept is not given up for what is new.
            clock: In seconds.
        """
        self.folder = folder
        self.owner = new_owner()
        self.tally = Tally()
        self._backlog = Backlog(folder, self.owner, self.tally)
        self._most_bytes = most_bytes
        self._clock = clock
        self._guard = threading.Lock()
        self._lock: IO[str] | None = None
        self._number = 0
        self._newest: int | None = None
        self._size = self._room = self._records = 0  # of the newest
        self._problem: OSError | None = None
        self._retry_at = 0.0
        try:
            self._take_lock()
        except OSError as error:
            self._wait_after(error)
            logger.error("no exchange can be kept in %s: %s", folder, error)

    def put(self, record: str) -> None:
        """Keep a record: a JSON object that begins with its `request_id`.

        Raises:
            OSError: It could not be written, now or less than a second ago, or the folder is full; what was there is
                as it was.
        """
        line = record.replace("\n", " ").encode() + b"\n"  # in JSON a line break is a space
        size = len(line)
        with self._guard:
            if self._newest is None or self._size + size > self._room:
                self._newest = self._begin_next(size)
            try:
                written = os.write(self._newest, line)
            except OSError as error:
                self._end_badly(self._newest, error)
                raise
            if written < size:
                raise self._end_badly(self._newest, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            self._size += size
            self._records += 1

    def ship(self, ship: Ship) -> bool:
        """Hand the oldest records to `ship` and forget them once it returns; answers whether older files wait still."""
        if self._backlog.is_done:
            with self._guard:
                self._close_newest()
        if not self._backlog.is_done:
            self._backlog.ship(ship)
        return self.is_behind

    def __len__(self) -> int:
        """How many records wait."""
        return self._records + len(self._backlog)

    @property
    def is_behind(self) -> bool:
        """Whether files wait that nothing is added to any more."""
        return not self._backlog.is_done

    def look_after(self) -> None:
        """Notice what somebody removed: nothing more is written there."""
        with self._guard:
            if self._newest is not None and not (self._has_lock() and is_at(self._path, self._newest)):
                self._close_newest()
        self._backlog.forget_missing()

    def report(self) -> Report:
        """How the outbox does, since the last report."""
        self.tally.notice.say()
        unreadable, lost = self.tally.unreadable, self.tally.lost
        self.tally.unreadable = self.tally.lost = 0
        return Report(len(self), bytes_in(self.folder), unreadable, lost)

    def close(self) -> None:
        """Close the files, and remove the lock where nothing is left to ship."""
        with self._guard:
            self._close_newest()
        if self._lock is not None:
            release(self._lock, self._backlog)

    @property
    def _path(self) -> Path:
        return segment_path(self.folder, self.owner, self._number)

    def _begin_next(self, size: int) -> int:
        """Begin a new file, for a line of this size first; what was written so far can be shipped."""
        if self._problem is not None and self._clock() < self._retry_at:
            raise _again(self._problem)
        self._close_newest()
        try:
            self._take_lock()
            room = self._find_room(size)
            self._number += 1
            newest = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except OSError as error:
            self._wait_after(error)
            raise
        self._problem = None
        self._room = min(SEGMENT_BYTES, room)
        return newest

    def _find_room(self, size: int) -> int:
        """How much the folder may still take, if that is so much."""
        room = self._most_bytes - bytes_in(self.folder)
        if room < size:
            raise OSError(errno.EDQUOT, f"the outbox is full: its files may take {self._most_bytes // MIB} MiB")
        return room

    def _take_lock(self) -> None:
        """See that the folder and the lock are there."""
        if self._has_lock():
            return
        if self._lock is not None:
            self._lock.close()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = make_lock(self.folder, self.owner)

    def _has_lock(self) -> bool:
        return (
            self._lock is not None
            and not self._lock.closed
            and is_at(lock_path(self.folder, self.owner), self._lock.fileno())
        )

    def _end_badly(self, newest: int, error: OSError) -> OSError:
        """Take half a line back, and write to that file no more: shipping leaves out what lacks its end."""
        with suppress(OSError):
            os.ftruncate(newest, self._size)
        self._close_newest()
        self._wait_after(error)
        return error

    def _wait_after(self, error: OSError) -> None:
        self._problem = _again(error)
        self._retry_at = self._clock() + RETRY_SECONDS

    def _close_newest(self) -> None:
        """Let what was written so far be shipped; what comes next begins a new file."""
        if self._newest is None:
            return
        with suppress(OSError):
            os.close(self._newest)
        if self._records:
            self._backlog.add(self._path, self._records)
        else:
            with suppress(OSError):
                self._path.unlink()
        self._newest = None
        self._size = self._room = self._records = 0


def _again(error: OSError) -> OSError:
    """The same error, without what it remembers of where it came from."""
    return OSError(error.errno, error.strerror, error.filename)


def release(lock: IO[str], backlog: Backlog) -> None:
    """Give an outbox up, and remove its lock where nothing is left to ship."""
    if backlog.is_done:
        with suppress(OSError):
            Path(lock.name).with_suffix(".lock").unlink()
    lock.close()


def find_waiting(folder: Path, request_id: str) -> dict[str, Any] | None:
    """The record with this id that waits in an outbox of the folder, of whatever process; None if there is none.

    Ids are UUIDs of version 7, which begin with the time: files from before or after it are not read.
    """
    begin = BEGIN + f'{request_id}"'.encode()  # of a line: a body may hold an id likewise
    for path in segment_paths(folder):
        try:
            line = find_line(path, begin) if _may_hold(path, _time_of(request_id)) else None
            if line is not None:
                record: dict[str, Any] = json.loads(line)
                return record
        except (OSError, ValueError):
            continue  # shipped meanwhile, or spoilt
    return None


def _may_hold(path: Path, moment: float) -> bool:
    """Whether a file may hold a record of this moment, by when it was begun and last written to."""
    if path.stat().st_mtime < moment - SLACK_SECONDS:
        return False
    with path.open("rb") as file:
        first = file.read(len(BEGIN) + ID_LENGTH).removeprefix(BEGIN)
    try:
        return _time_of(first.decode()) <= moment + SLACK_SECONDS
    except ValueError:
        return True  # its first line is no record


def _time_of(request_id: str) -> float:
    """When an exchange came in, in seconds since 1970."""
    return (uuid.UUID(request_id).int >> 80) / 1000
