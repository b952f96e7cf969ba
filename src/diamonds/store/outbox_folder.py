"""The folder where the outboxes of all processes lie: whose they are, their locks, and how much they hold."""

from __future__ import annotations

import fcntl
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

#: In seconds: files that nobody wrote to for so long are a dead process's, where the lock that would tell is gone.
ABANDONED_SECONDS = 60.0
#: How a process's files are named; whatever else lies in the folder is not ours.
_OURS = re.compile(r"(?P<owner>[0-9]+-[0-9a-f]+)(\.[0-9]+)?\.(?P<kind>jsonl|unreadable|lock)")


def new_owner() -> str:
    """A name for the outbox of this process."""
    return f"{os.getpid()}-{uuid.uuid4().hex}"


def segment_path(folder: Path, owner: str, number: int) -> Path:
    """Where an outbox's file of this number lies."""
    return folder / f"{owner}.{number:09}.jsonl"


def segment_paths(folder: Path, owner: str = "*") -> list[Path]:
    """An outbox's files that wait for the database, the oldest first; without an owner those of all."""
    return sorted(path for path in folder.glob(f"{owner}.*.jsonl") if _OURS.fullmatch(path.name))


def lock_path(folder: Path, owner: str) -> Path:
    """Where the lock of an outbox lies."""
    return folder / f"{owner}.lock"


def take_lock(folder: Path, owner: str) -> IO[str]:
    """Make an outbox one's own: the kernel drops the lock with the process, which tells the living from the dead.

    Raises:
        BlockingIOError: It belongs to a living process.
        OSError: The folder cannot be written.
    """
    path = lock_path(folder, owner)
    while True:
        lock = path.open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise
        if is_at(path, lock.fileno()):
            return lock
        lock.close()  # whoever had it removed it between the two


def make_lock(folder: Path, owner: str) -> IO[str]:
    """The lock of a new outbox: it is held before anybody can see it, so that nobody adopts what has just begun.

    Raises:
        OSError: The folder cannot be written.
    """
    path = lock_path(folder, owner)
    hidden = path.with_suffix(".new")
    lock = hidden.open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        hidden.rename(path)
    except OSError:
        lock.close()
        raise
    return lock


def owners(folder: Path) -> list[str]:
    """Whose outboxes lie in the folder: those with a lock, and those whose lock is gone and who write no more."""
    found = set()
    for entry, ours in _entries(folder):
        if ours["kind"] == "lock" or (ours["kind"] == "jsonl" and _seconds_since(entry) > ABANDONED_SECONDS):
            found.add(ours["owner"])
    return sorted(found)


def bytes_in(folder: Path) -> int:
    """How much the outboxes of all processes take, with what they put aside; 0 where there is no such folder."""
    return sum(_size(entry) for entry, _ in _entries(folder))


def is_at(path: Path, file: int) -> bool:
    """Whether an open file is still the one at this path."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except OSError:
        return False


def _entries(folder: Path) -> Iterator[tuple[os.DirEntry[str], re.Match[str]]]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if ours := _OURS.fullmatch(entry.name):
                yield entry, ours


def _seconds_since(entry: os.DirEntry[str]) -> float:
    """How long ago it was written to; 0 if it is gone."""
    with suppress(OSError):
        return time.time() - entry.stat().st_mtime
    return 0.0


def _size(entry: os.DirEntry[str]) -> int:
    with suppress(OSError):
        return entry.stat().st_size
    return 0
