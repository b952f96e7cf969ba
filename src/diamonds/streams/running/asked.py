"""What other threads ask a runner to do: between two batches, or beside them."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from diamonds.errors import DiamondsError

T = TypeVar("T")
Waiting = deque[tuple[Future[Any], Callable[[], Awaitable[Any]]]]


class Asked:
    """Things to be done, the first one first, each with a future for who asked; true while some wait for a batch."""

    def __init__(self, refusal: DiamondsError) -> None:
        """Nothing was asked for; `refusal` is what is raised where it is too late for something."""
        self._between: Waiting = deque()
        self._beside: Waiting = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._lock = threading.Lock()
        self._refusal, self._has_ended = refusal, False

    def __bool__(self) -> bool:
        return bool(self._between)

    def ask(self, what: Callable[[], Awaitable[T]]) -> Future[T]:
        """Have something done in the runner's loop between two batches."""
        return self._put(self._between, what)

    def ask_beside(self, what: Callable[[], Awaitable[T]]) -> Future[T]:
        """Have something done in the runner's loop while learning goes on: it may wait for long."""
        return self._put(self._beside, what)

    async def do_next(self) -> None:
        """Do the first thing that waits for a batch."""
        await self._do(*self._between.popleft())

    def begin_beside(self) -> None:
        """Begin all that is to be done beside."""
        while self._beside:
            task = asyncio.create_task(self._do(*self._beside.popleft()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def give_up(self) -> None:
        """Wait no longer for what is done beside."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def refuse(self) -> None:
        """Do nothing more."""
        with self._lock:
            self._has_ended = True
            for waiting in (self._between, self._beside):
                while waiting:
                    future, _ = waiting.popleft()
                    if future.set_running_or_notify_cancel():
                        future.set_exception(self._refusal)

    def _put(self, waiting: Waiting, what: Callable[[], Awaitable[T]]) -> Future[T]:
        future: Future[T] = Future()
        with self._lock:
            if self._has_ended:
                future.set_exception(self._refusal)
            else:
                waiting.append((future, what))
        return future

    async def _do(self, future: Future[Any], what: Callable[[], Awaitable[Any]]) -> None:
        """Do it, and tell who asked what came of it, also where it is given up."""
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(await what())
        except asyncio.CancelledError:
            future.set_exception(self._refusal)
            raise
        except Exception as error:  # noqa: BLE001 - it is raised where it was asked for
            future.set_exception(error)
