"""Shows a stream to whoever looks: a snapshot is made at most five times a second, and only while somebody does."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from concurrent.futures import TimeoutError as TooLate
from contextlib import suppress

from diamonds.streams.running.snapshot import Snapshot

logger = logging.getLogger(__name__)

LEAST_SECONDS = 0.2
#: After so long, who asks gets the snapshot before: the learner is busy with something long.
PATIENCE_SECONDS = 1.0


class Showing:
    """Makes snapshots and hands them out; any thread may ask."""

    def __init__(self, make: Callable[[int], Snapshot], bench: Executor, first: Snapshot) -> None:
        """Make nothing yet.

        Args:
            make: Makes the snapshot of a number; called on the bench.
            bench: Where the learners are used.
            first: What is shown until there is another.
        """
        self._make, self._bench = make, bench
        self._newest, self._made_at = first, 0.0
        self._is_old = True
        self._new = threading.Condition()
        self._lookers = 0
        self._callbacks: dict[object, Callable[[Snapshot], None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()

    def changed(self) -> None:
        """There is something new to show."""
        self._is_old = True
        loop = self._loop
        if loop is not None and (self._lookers or self._callbacks):
            with suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(self._news.set)

    def snapshot(self, *, at_least_seconds: float = 0.0) -> Snapshot:
        """The newest, made now where something changed since and the one before is older than so many seconds."""
        if self._is_old and time.monotonic() - self._made_at >= at_least_seconds:
            try:
                self._bench.submit(self._publish).result(PATIENCE_SECONDS)
            except TooLate:
                logger.debug("the learner is busy: the snapshot is an older one")
            except RuntimeError:
                logger.debug("the learner has ended: the snapshot is its last one")
        return self._newest

    def wait(self, after: int, timeout: float) -> Snapshot:
        """The first one with a greater number than that, or the newest there is after so many seconds."""
        with self._new:
            self._lookers += 1
        try:
            if self._is_old:
                self.changed()
            with self._new:
                self._new.wait_for(lambda: self._newest.number > after, timeout)
                return self._newest
        finally:
            with self._new:
                self._lookers -= 1

    def subscribe(self, callback: Callable[[Snapshot], None]) -> Callable[[], None]:
        """Call back with each new snapshot, from a thread of the runner; answers what ends that."""
        token = object()
        with self._new:
            self._callbacks[token] = callback
        self.changed()
        return lambda: self._unsubscribe(token)

    async def serve(self) -> None:
        """Show what is new to whoever looks, until cancelled."""
        self._loop = asyncio.get_running_loop()
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                if self._is_old and (self._lookers or self._callbacks):
                    await self._loop.run_in_executor(self._bench, self._publish)
                await asyncio.sleep(LEAST_SECONDS)
        finally:
            self._loop = None

    def _unsubscribe(self, token: object) -> None:
        with self._new:
            self._callbacks.pop(token, None)

    def _publish(self) -> None:
        if not self._is_old:
            return
        self._is_old = False  # what changes while it is made is new again
        made = self._make(self._newest.number + 1)
        with self._new:
            self._newest, self._made_at = made, time.monotonic()
            self._new.notify_all()
            callbacks = list(self._callbacks.values())
        for callback in callbacks:
            callback(made)
