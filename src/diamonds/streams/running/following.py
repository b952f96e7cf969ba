"""Follows a feed within an event loop: learns while somebody wants it, waits, or does what was asked for in between."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from diamonds.errors import DatabaseError, DiamondsError, FeedError, StreamConflictError
from diamonds.streams.reading.page import Page
from diamonds.streams.running.asked import Asked
from diamonds.streams.running.bench import Bench
from diamonds.streams.running.control import Control
from diamonds.streams.running.pump import Pump
from diamonds.streams.running.snapshot import Standing, Status

if TYPE_CHECKING:
    from diamonds.streams.reading.source import Source

logger = logging.getLogger(__name__)

T = TypeVar("T")
#: A batch that is not full waits so long for its next page.
GATHER_SECONDS = 1.0
#: How long a database that is away is given before the next try: at first, and at most.
FIRST_TRY_SECONDS, LAST_TRY_SECONDS = 0.25, 30.0
#: How long a page may take that a person wants read again.
READ_AGAIN_SECONDS = 30.0
#: What a source tells that is worth an entry; the rest is counted.
WORTH_AN_EVENT = frozenset({"stall", "recover", "anchor", "gap"})


class Following:
    """One feed being followed; all but `wake` and `stop` belongs to the loop.

    Attributes:
        control: What a person wants.
        asked: What is to be done between two batches.
        standing: How the stream stands.
        source: What the pages come from, once it is there.
        must_open: Whether the memory is to be opened next.
    """

    def __init__(self, name: str, bench: Bench, control: Control, in_flight: int, changed: Callable[[], None]) -> None:
        """Begin nothing yet; `changed` is called whenever there is something new to see."""
        self.control, self.asked = control, Asked(FeedError(f"{name} is not run any more"))
        self.standing = Standing("paused")
        self.source: Source | None = None
        self.must_open = True
        self._name, self._bench, self._in_flight, self._changed = name, bench, in_flight, changed
        self._tries, self._is_stopping = 0, False
        self._starts_by_itself = control.wants_to_learn
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look at what is wanted and asked now; from any thread."""
        if (loop := self._loop) is not None:
            with suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(self._look)

    def stop(self) -> None:
        """End within a batch; from any thread."""
        self._is_stopping = True
        self.wake()

    async def live(self, source: Source) -> None:
        """Follow the feed until it is stopped."""
        self._loop, self.source = asyncio.get_running_loop(), source
        self.asked.begin_beside()
        try:
            while not self._is_stopping:
                await self._take_turn(source)
        finally:
            await self.asked.give_up()
        self.stand("paused", "it was stopped")

    def stand(self, status: Status, reason: str | None = None, next_look: float | None = None) -> None:
        """Let everybody know how the stream stands now."""
        if status != self.standing.status:
            self._bench.note_status(status)
        self.standing = Standing(status, reason, next_look)
        self._changed()

    def hear(self, kind: str, detail: Mapping[str, Any]) -> None:
        """Hear of the source how it fares."""
        if kind in WORTH_AN_EVENT:
            self._bench.note(kind, **{"what": "feed", **detail})
        if kind == "stall":
            self.stand("stalled", f"the feed does not answer as it should; {detail.get('why', 'it says nothing')}")
        elif kind == "recover":
            self.stand("running")
        self._changed()

    async def reset(self, *, keep_rows: bool) -> None:
        """Begin anew, from the first page or from the stored rows."""
        was = self.standing
        self.stand("running", "the stored rows are learned again" if keep_rows else None)
        try:
            reset = partial(self._bench.memory.reset, keep_rows=keep_rows, goes_on=lambda: not self._is_stopping)
            begun = await asyncio.to_thread(reset)  # which may take a minute
            await self._on_bench(self._bench.opened, begun)
        except DiamondsError:
            self.stand(was.status, was.reason)
            raise
        self.must_open = False
        self._stand_ready()

    async def read_again(self, number: int, key: str) -> dict[str, Any]:
        """Read a page again, beside what is learned, and learn what is new on it; answers what became of this row."""
        if self.source is None or not self._bench.memory.is_open:
            raise FeedError(f"{self._name} is not read now: {self.standing.reason or 'it has not begun'}")
        first, last = self._bench.spec.first_page, self._bench.memory.checkpoint.page
        if not first <= number <= last:
            raise FeedError(
                f"page {number} of {self._name} was not read yet: pages {first} to {last} can be read again"
            )
        try:
            page = await asyncio.wait_for(self.source.read_again(number), READ_AGAIN_SECONDS)
        except TimeoutError as error:
            raise FeedError(f"page {number} of {self._name} has not come in {READ_AGAIN_SECONDS:g} s") from error
        learning = self.asked.ask(lambda: self._on_bench(self._bench.read_again, page))
        self._woken.set()
        committed = await asyncio.wrap_future(learning)
        self._changed()
        why = await self._on_bench(self._bench.memory.why_rejected, key)
        return {
            "learned": any(str(row[self._bench.spec.key]) == key for row in committed.new),
            "resolved": why is None,
            "reason": why,
        }

    @property
    def is_stopping(self) -> bool:
        """Whether it is to end."""
        return self._is_stopping

    @property
    def _goes_on(self) -> bool:
        return self.control.wants_to_learn and not self.asked and not self._is_stopping

    @property
    def _ahead(self) -> int:
        return max(self._in_flight, self.control.pages_a_batch)

    def _look(self) -> None:
        self.asked.begin_beside()
        self._woken.set()

    async def _take_turn(self, source: Source) -> None:
        try:
            await self._do_next(source)
        except DatabaseError as error:
            await self._wait_for_the_database(error)
        except StreamConflictError as error:
            self._hold("paused", "conflict", error)
        except FeedError as error:
            self._hold("failed", "fail", error)
        except Exception as error:
            logger.exception("learning from %s failed", self._name)
            self._hold("failed", "fail", error)

    async def _do_next(self, source: Source) -> None:
        if self.asked:
            await self.asked.do_next()
            self.must_open |= not self._bench.memory.is_open and self.standing.status != "failed"
        elif self.must_open:
            await self._open()
        elif self.control.wants_to_learn:
            await self._learn(source)
        else:
            await self._woken.wait()
            self._woken.clear()

    async def _open(self) -> None:
        try:
            await self._on_bench(self._bench.open)
        except StreamConflictError as error:  # it is not of this configuration, which does not pass by itself
            self.must_open = False
            self._hold("failed", "fail", error)
            return
        if self._tries:
            self._bench.note("recover", what="database")
        if self._starts_by_itself:
            self._bench.note("start")
        self.must_open, self._tries, self._starts_by_itself = False, 0, False
        self._stand_ready()

    async def _learn(self, source: Source) -> None:
        if not self._bench.memory.is_open:
            return await self._open()
        self._bench.rate.begin()
        self.stand("running")
        pages = source.pages(self._bench.memory.checkpoint.cursor, follow=True)
        pump = Pump(pages, self._ahead, self._woken)
        try:
            while self._goes_on:
                began = time.monotonic()
                await self._learn_batch(pump)
                await self._keep_pace(began)
        finally:
            await pump.close()
        if not self.control.wants_to_learn and self.standing.status != "paused":
            self.stand("paused")
        return None

    async def _learn_batch(self, pump: Pump) -> None:
        pump.ahead = self._ahead
        pages, is_end = await self._gather(pump)
        before, after = self._bench.last, self._bench.last
        if pages:
            after = (await self._on_bench(self._bench.commit, pages)).checkpoint
            self._changed()
        if is_end and after == before and self.control.wish == "one batch":
            self.stand("paused", "there is nothing new in the feed")
        elif is_end:
            self.stand("caught up", next_look=self._next_look())
        if pages or is_end:
            self.control.batch_done()

    async def _gather(self, pump: Pump) -> tuple[list[Page], bool]:
        """The pages of a batch, fewer where the feed ends or keeps us waiting, and whether it ends."""
        pages: list[Page] = []
        while self._goes_on and len(pages) < self.control.pages_a_batch:
            try:
                item = pump.take()
            except FeedError:
                if not pages:
                    raise
                return pages, False  # what came before it is learned first
            if isinstance(item, Page):
                pages.append(item)
                if self.standing.status == "caught up":
                    self.stand("running")
            elif item is not None:
                return pages, True
            elif not await self._news(GATHER_SECONDS if pages else None):
                return pages, False
        return (pages, False) if self._goes_on else ([], False)

    async def _keep_pace(self, began: float) -> None:
        """Wait until the next batch is due."""
        while self._goes_on and self.control.wish == "run" and (speed := self.control.batches_a_second):
            left = began + 1 / speed - time.monotonic()
            if left <= 0 or not await self._news(left):
                return

    async def _wait_for_the_database(self, error: DatabaseError) -> None:
        seconds = min(LAST_TRY_SECONDS, FIRST_TRY_SECONDS * 2 ** min(self._tries, 10))
        if not self._tries:
            self._bench.note("stall", what="database", why=str(error))
        self._tries, self.must_open = self._tries + 1, True
        self.stand("stalled", f"{error}; it is tried again in {seconds:g} s")
        await self._news(seconds)

    async def _news(self, seconds: float | None) -> bool:
        """Whether there is something to take, or a new wish, within so many seconds."""
        self._woken.clear()
        try:
            await asyncio.wait_for(self._woken.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _hold(self, status: Status, kind: str, error: Exception) -> None:
        """Learn no more until somebody says so."""
        self.control.want("pause")
        self._bench.note(kind, why=str(error))
        self.stand(status, str(error))

    def _stand_ready(self) -> None:
        self.stand("running" if self.control.wants_to_learn else "paused")

    def _on_bench(self, what: Callable[..., T], *given: Any) -> Awaitable[T]:  # noqa: ANN401 - what it takes
        return asyncio.wrap_future(self._bench.do(what, *given))

    def _next_look(self) -> float | None:
        seconds = self.source.next_look_seconds if self.source else None
        return None if seconds is None else time.monotonic() + seconds
