"""Tells all who look at a stream what is new: each moment is made and written once, however many look."""

from __future__ import annotations

import asyncio
import logging
import struct
import threading
import time
import zlib
from collections.abc import AsyncIterator, Callable
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diamonds.streams.running.runner import Runner
    from diamonds.streams.running.snapshot import Snapshot

logger = logging.getLogger(__name__)

#: A viewer hears of news five times a second at most, and all viewers together of no more than so many a second:
#: a hundred pages then cost the learner little, and each is at most a second behind.
LEAST_SECONDS, MOST_A_SECOND = 0.2, 100
#: A response ends after so long, and the browser asks anew: a server can end only once its responses have.
LIFE_SECONDS = 15.0
#: How long a viewer hears nothing.
SILENCE_SECONDS = 5.0
#: What asks a browser to come again in half a second.
GREETING = b"retry: 500\n\n"
STILL_HERE = b": still here\n\n"
#: A gzip header that says nothing more, and an empty block that ends its stream.
GZIP_BEGIN, LAST_BLOCK = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff", b"\x03\x00"


class Broadcast:
    """The newest moment of a stream, as the text of a server-sent event."""

    def __init__(
        self, runner: Runner, write: Callable[[Snapshot], bytes], *, life_seconds: float = LIFE_SECONDS
    ) -> None:
        """Make nothing until somebody looks.

        Args:
            runner: Whose snapshots are told.
            write: Makes the data of an event, one line of text.
            life_seconds: After how long a response ends.
        """
        self._runner, self._write, self._life_seconds = runner, write, life_seconds
        self._newest: tuple[int, bytes] = (-1, b"")
        self._taking = threading.Lock()
        self._viewers = 0
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def events(self) -> AsyncIterator[bytes]:
        """What one viewer is told until the response ends: the newest moment at once, then each that is new."""
        self._viewers += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow())
        try:
            async for event in self._told():
                yield event
        finally:
            self._viewers -= 1

    async def _told(self) -> AsyncIterator[bytes]:
        yield GREETING
        await asyncio.to_thread(self._renew)  # what others were told last may be old, if they are gone
        end, seen = time.monotonic() + self._life_seconds, -1
        while (left := end - time.monotonic()) > 0:
            news = self._news
            number, event = self._newest
            if number != seen:
                seen = number
                yield event
            elif not await _happens(news, min(left, SILENCE_SECONDS)):
                yield STILL_HERE

    async def _follow(self) -> None:
        """Look for news while anybody is told of it."""
        while self._viewers:
            began = time.monotonic()
            try:
                await asyncio.to_thread(self._look)
            except Exception:
                logger.exception("what is learned cannot be shown")
            self._news.set()
            self._news = asyncio.Event()
            await asyncio.sleep(began + pause_seconds(self._viewers) - time.monotonic())

    def _look(self) -> None:
        self._take(self._runner.wait(self._newest[0], 1.0))

    def _renew(self) -> None:
        self._take(self._runner.snapshot())

    def _take(self, snapshot: Snapshot) -> None:
        with self._taking:
            if snapshot.number > self._newest[0]:
                self._newest = snapshot.number, event_of(snapshot.number, self._write(snapshot))


def pause_seconds(viewers: int) -> float:
    """How long to be quiet between two events, for so many viewers.

    >>> pause_seconds(1), pause_seconds(20), pause_seconds(100)
    (0.2, 0.2, 1.0)
    """
    return max(LEAST_SECONDS, viewers / MOST_A_SECOND)


async def zipped(events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The events in one gzip stream (RFC 1952), each readable as soon as it is there.

    A block that refers to none before it fits into any stream: each event is packed once, however many look.
    """
    yield GZIP_BEGIN
    checksum = size = 0
    async for event in events:
        checksum, size = zlib.crc32(event, checksum), size + len(event)
        yield packed(event)
    yield LAST_BLOCK + struct.pack("<II", checksum, size & 0xFFFFFFFF)


@lru_cache(4)
def packed(event: bytes) -> bytes:
    """An event as a deflate block of its own (RFC 1951)."""
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packing.compress(event) + packing.flush(zlib.Z_FULL_FLUSH)


def event_of(number: int, data: bytes) -> bytes:
    """A server-sent event (HTML standard, section 9.2)."""
    return b"id: %d\ndata: %s\n\n" % (number, data)


async def _happens(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
