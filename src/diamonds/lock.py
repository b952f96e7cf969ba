"""A lock that one process holds, and that goes with it, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from diamonds.errors import BusyError


@contextmanager
def held(place: Path, what: str, *, wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the lock of this file; the file stays, for it is the system that forgets who held it.

    Args:
        place: The file; its folder is made where it is missing.
        what: What only one may do at a time, for the message.
        wait: Is told who holds it, before it is waited for; without one nothing is waited for.

    Raises:
        BusyError: Another process holds it, and it is not waited for.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            busy = f"{what} is running {_holder(place)}"
            if wait is None:
                raise BusyError(busy) from error
            wait(busy)
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(f"since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC (process {os.getpid()})")
        file.flush()
        yield


def _holder(place: Path) -> str:
    return place.read_text() or "since this moment"
