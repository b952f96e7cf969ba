"""How long requests may take: one timer for all, for a timer each would cost more than to write the record."""

from __future__ import annotations

import asyncio

#: How often it is looked for what is overdue, as a share of the time that requests have.
LOOK = 1 / 16


class Deadlines:
    """Cancels tasks that take longer than they may."""

    def __init__(self) -> None:
        """Watch nobody yet."""
        self._ends: dict[asyncio.Task[None], float] = {}
        self._overdue: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, task: asyncio.Task[None], seconds: float) -> None:
        """Give a task this long from now on, whatever it had before."""
        loop = task.get_loop()
        self._ends[task] = loop.time() + seconds
        if self._timer is None:
            self._timer = loop.call_later(seconds * LOOK, self._look, loop, seconds * LOOK)

    def end(self, task: asyncio.Task[None]) -> None:
        """Watch a task no longer."""
        self._ends.pop(task, None)
        self._overdue.discard(task)

    def cancelled(self, task: asyncio.Task[None]) -> bool:
        """Whether a task was cancelled because it is overdue, and nobody else wants it to end; it may go on then."""
        return task in self._overdue and task.uncancel() == 0

    def _look(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        now = loop.time()
        late = [task for task, end in self._ends.items() if end <= now]
        for task in late:
            del self._ends[task]
            self._overdue.add(task)
            task.cancel()
        self._timer = loop.call_later(seconds, self._look, loop, seconds) if self._ends else None
