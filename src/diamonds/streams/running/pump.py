"""Reads pages ahead of the learner, in their order, so that fetching goes on while a batch is learned."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from diamonds.streams.reading.page import Page
    from diamonds.streams.reading.source import End


class Pump:
    """Takes what a source gives and holds some of it; to be made and used within one event loop.

    Attributes:
        ahead: How many pages it holds at most.
    """

    def __init__(self, items: AsyncIterator[Page | End], ahead: int, news: asyncio.Event) -> None:
        """Begin to read.

        Args:
            items: What the source gives.
            ahead: How many pages to hold at most.
            news: Is set when there is something to take, or an error.
        """
        self.ahead = ahead
        self._items: deque[Page | End] = deque()
        self._error: Exception | None = None
        self._news, self._room = news, asyncio.Event()
        self._task = asyncio.create_task(self._read(items))

    def take(self) -> Page | End | None:
        """The next page or the end, None where it has to be waited for.

        Raises:
            Exception: What the source raised, once all that came before was taken.
        """
        if self._items:
            self._room.set()
            return self._items.popleft()
        if self._error is not None:
            raise self._error
        return None

    async def close(self) -> None:
        """Stop reading; what was not taken is dropped."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _read(self, items: AsyncIterator[Page | End]) -> None:
        async with aclosing(cast("AsyncGenerator[Page | End]", items)):
            try:
                async for item in items:
                    await self._wait_for_room()
                    self._items.append(item)
                    self._news.set()
            except Exception as error:  # noqa: BLE001 - it is raised where it is taken
                self._error = error
                self._news.set()

    async def _wait_for_room(self) -> None:
        while len(self._items) >= self.ahead:
            self._room.clear()
            await self._room.wait()
