"""The shipper: a thread that moves exchanges from the outbox into the database."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import IO

from diamonds.store.backlog import Backlog, Ship
from diamonds.store.notice import Notice
from diamonds.store.outbox import Outbox, Report, release
from diamonds.store.outbox_folder import owners, segment_paths, take_lock

logger = logging.getLogger(__name__)

#: In seconds: what comes meanwhile is shipped together.
PAUSE_SECONDS = 0.1
#: In seconds: how often it is looked for what a dead process left.
ADOPT_SECONDS = 60.0
LEAST_WAIT_SECONDS, MOST_WAIT_SECONDS = 0.25, 5.0
#: A database that does not answer keeps a service no longer than this from ending.
MOST_STOP_SECONDS = 5.0


class Shipper:
    """A thread that moves an outbox into the database, and then what dead processes left beside it."""

    def __init__(self, outbox: Outbox, ship: Ship, told: Callable[[Report], None] | None = None) -> None:
        """Prepare; `start` starts the thread. `told` is called with how the outbox does, after each attempt."""
        self._outbox = outbox
        self._ship = ship
        self._told = told
        self._away = Notice(logger, f"exchanges wait in {str(outbox.folder).replace('%', '%%')}: %(why)s")
        self._left: set[str] = set()
        self._wait = LEAST_WAIT_SECONDS
        self._adopt_at = 0.0
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
        """Ship what is left, if the database takes it, and end; the rest stays in the outbox's files."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(MOST_STOP_SECONDS)

    def _run(self) -> None:
        while True:
            stopping = self._stopping.is_set()
            is_away = not self._try(self._ship_all)
            self._try(self._tell)
            if stopping:
                return
            if is_away:
                self._stopping.wait(self._wait)
                self._wait = min(2 * self._wait, MOST_WAIT_SECONDS)
            else:
                self._wake.wait(ADOPT_SECONDS)
                self._wake.clear()
                self._stopping.wait(PAUSE_SECONDS)

    def _try(self, step: Callable[[], None]) -> bool:
        """Whether it succeeded."""
        try:
            step()
        except Exception as error:  # noqa: BLE001 - whatever the database says, the records are kept and tried again
            self._away.happened(error)
            return False
        return True

    def _tell(self) -> None:
        if self._told is not None:
            self._told(self._outbox.report())

    def _ship_all(self) -> None:
        self._outbox.look_after()
        if self._outbox.is_behind:
            self._ship_older()
        self._ship_older()  # the newest too, which is closed once no other waits
        if time.monotonic() >= self._adopt_at:
            self._adopt()
            self._adopt_at = time.monotonic() + ADOPT_SECONDS

    def _ship_older(self) -> None:
        while self._outbox.ship(self._hand_over):
            self._tell()

    def _hand_over(self, records: Sequence[str]) -> Sequence[str]:
        refused = self._ship(records)
        self._wait = LEAST_WAIT_SECONDS  # a database that takes some is tried again soon
        return refused

    def _adopt(self) -> None:
        """Ship and remove the outboxes of dead processes in the same folder; one that cannot be had is left there."""
        for owner in owners(self._outbox.folder):
            if owner == self._outbox.owner or owner in self._left:
                continue
            try:
                lock = take_lock(self._outbox.folder, owner)
            except BlockingIOError:
                continue  # its process lives
            except OSError as error:
                logger.error("the outbox %s cannot be taken over and is left as it is: %s", owner, error)
                self._left.add(owner)
                continue
            self._ship_orphan(owner, lock)

    def _ship_orphan(self, owner: str, lock: IO[str]) -> None:
        orphan = Backlog(self._outbox.folder, owner, self._outbox.tally)
        try:
            while not orphan.is_done:
                orphan.ship(self._hand_over)
                self._outbox.ship(self._hand_over)  # what comes meanwhile does not wait for all of it
                self._tell()
        finally:
            release(lock, orphan)
        if segment_paths(self._outbox.folder, owner):
            self._left.add(owner)  # they cannot be removed
