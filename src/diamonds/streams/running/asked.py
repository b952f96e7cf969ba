"""What other threads ask a runner to do between two batches."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from diamonds.errors import DiamondsError

T = TypeVar("T")


class Asked:
    """Things to be done, the first one first, each with a future for who asked."""

    def __init__(self) -> None:
        """Nothing was asked for."""
        self._waiting: deque[tuple[Future[Any], Callable[[], Awaitable[Any]]]] = deque()
        self._lock = threading.Lock()
        self._refusal: DiamondsError | None = None

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def ask(self, what: Callable[[], Awaitable[T]]) -> Future[T]:
        """Have something done in the runner's loop."""
        future: Future[T] = Future()
        with self._lock:
            if self._refusal is None:
                self._waiting.append((future, what))
            else:
                future.set_exception(self._refusal)
        return future

    async def do_next(self) -> None:
        """Do the first thing, and tell who asked what came of it."""
        future, what = self._waiting.popleft()
        try:
            future.set_result(await what())
        except Exception as error:  # noqa: BLE001 - it is raised where it was asked for
            future.set_exception(error)

    def refuse(self, why: DiamondsError) -> None:
        """Do nothing more."""
        with self._lock:
            self._refusal = why
            while self._waiting:
                self._waiting.popleft()[0].set_exception(why)
