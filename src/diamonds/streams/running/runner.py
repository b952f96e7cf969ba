"""Runs a stream: reads, learns and remembers, in a thread of its own, and lets any other thread watch and steer."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import TimeoutError as TooLate
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Engine

from diamonds.errors import FeedError
from diamonds.streams.learners import Gap, Learner, build
from diamonds.streams.running.bench import Bench
from diamonds.streams.running.control import Control
from diamonds.streams.running.following import Following
from diamonds.streams.running.showing import LEAST_SECONDS, PATIENCE_SECONDS, Showing
from diamonds.streams.running.snapshot import Snapshot, document
from diamonds.streams.science.pricing import Champion, following
from diamonds.streams.spec import FeedSpec, Row

if TYPE_CHECKING:
    from diamonds.streams.reading.source import Source

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Runner:
    """One stream, from the feed to what is to be seen of it; any thread may call what is public."""

    def __init__(  # noqa: PLR0913 - by name
        self,
        spec: FeedSpec,
        engine: Engine,
        *,
        url: str | None = None,
        paused: bool = False,
        in_flight: int | None = None,
        pages_a_batch: int | None = None,
        make_source: Callable[..., Source] | None = None,
        make_learners: Callable[[FeedSpec], dict[str, Learner]] = build,
        champion: Champion | None = None,
    ) -> None:
        """Begin nothing yet.

        Args:
            spec: The feed.
            engine: Its database, whose tables are there; `open_database(settings, durable=True)`.
            url: Where the feed is served, if not where the spec says.
            paused: Whether to wait for `start`.
            in_flight: How many pages are asked for at once, if not as the spec says.
            pages_a_batch: How many pages are learned in one transaction, if not as the spec says.
            make_source: Makes what the pages come from.
            make_learners: Makes learners that have learned nothing.
            champion: Gives the champion of now, to learners that compare prices with it; `ChampionWatch(engine, root)`.

        Raises:
            ConfigurationError: The pages a batch are not from 1 to 500, or the address is none of HTTP.
        """
        self._spec = spec
        self._in_flight = spec.in_flight if in_flight is None else in_flight
        self._control = Control("pause" if paused else "run", spec.pages_a_batch)
        if pages_a_batch is not None:
            self._control.set_pages_a_batch(pages_a_batch)
        self._bench = Bench(engine, spec, following(champion, make_learners) if champion else make_learners)
        self._following = Following(spec.name, self._bench, self._control, self._in_flight, self._show)
        make = make_source or _http_source
        self._source = make(spec, url, in_flight=self._in_flight, tell=self._following.hear)
        self._retries_before = 0
        self._showing = Showing(self._make_snapshot, self._bench.executor, self._make_snapshot(0))
        self._thread = threading.Thread(target=self._run, name=f"{spec.name}-runner", daemon=True)

    def start_thread(self) -> None:
        """Begin: read and learn, or wait for `start` where it begins paused."""
        self._thread.start()

    def stop(self, timeout: float = 30.0) -> bool:
        """End within a batch, or answer False after so many seconds; what was committed stays."""
        self._following.stop()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        has_ended = not self._thread.is_alive()
        if has_ended:
            self._showing.snapshot()  # the last one
            self._bench.close()
        return has_ended

    def start(self) -> None:
        """Learn on; after a failure, or where another process learned, try again from the checkpoint."""
        self._control.want("run")
        self._try_again("start")

    def one_batch(self) -> None:
        """Learn one batch, then pause."""
        self._control.want("one batch")
        self._try_again("one_batch")

    def pause(self) -> None:
        """Learn no more than the batch that is being learned."""
        self._control.want("pause")
        self._steered("pause")

    def set_speed(self, batches_a_second: float | None) -> None:
        """Learn no more batches a second than that; None learns as quickly as it goes.

        Raises:
            ConfigurationError: It is not more than 0.
        """
        self._control.set_speed(batches_a_second)
        self._steered("speed", batches_a_second=batches_a_second)

    def set_pages_a_batch(self, pages: int) -> None:
        """Learn so many pages in one transaction.

        Raises:
            ConfigurationError: It is not a whole number from 1 to 500.
        """
        self._control.set_pages_a_batch(pages)
        self._steered("pages", pages_a_batch=pages)

    def reset(self, *, keep_rows: bool) -> None:
        """Begin anew, from the first page, or from the stored rows; returns when that is done.

        Raises:
            StreamConflictError: Another process learned meanwhile, or the stored rows have other columns.
            DatabaseError: The database is away; nothing was changed.
        """
        self._ask(partial(self._following.reset, keep_rows=keep_rows))
        self._retries_before = self._source.retries
        self._steered("replay" if keep_rows else "reset")

    def replay(self) -> None:
        """Learn the stored rows again, then read on: the way out where the configuration was changed."""
        self.reset(keep_rows=True)

    def audit(self) -> dict[str, list[Gap]]:
        """What each learner holds beside a fit to all stored rows; takes a while, and learning goes on meanwhile.

        Raises:
            UntaughtError: Nothing was learned yet.
            FeedError: The runner is to end.
        """
        copies, rows = self._bench.do(self._bench.copy_learners).result()
        return {name: learner.audit(self._stored_rows(rows)) for name, learner in copies.items()}

    def read_again(self, page: int, key: str) -> dict[str, Any]:
        """Read the page of a rejected row again, and learn it if it is good now.

        Returns:
            `learned`, whether it was; `resolved`, whether it is no longer among the rejected, for it was learned or is
            gone; `reason`, why it is not learned, if so.

        Raises:
            FeedError: The feed does not answer.
        """
        asked = self._following.asked.ask_beside(partial(self._following.read_again, page, key))
        self._following.wake()
        became = asked.result()
        self._bench.note("read_again", page=page, key=key, **became)
        return {"page": page, "key": key} | became

    def answer(self, row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """What each learner predicts for a row at this moment; those that cannot yet are left out.

        Raises:
            UntaughtError: None can.
        """
        return self._bench.do(self._bench.answer, row).result()

    def snapshot(self) -> Snapshot:
        """What is to be seen now; while it learns, as of at most a fifth of a second ago."""
        is_busy = self._following.standing.status == "running"
        return self._showing.snapshot(at_least_seconds=LEAST_SECONDS if is_busy else 0)

    def wait(self, after: int, timeout: float) -> Snapshot:
        """The first snapshot with a greater number than that, or the newest there is after so many seconds."""
        return self._showing.wait(after, timeout)

    def subscribe(self, callback: Callable[[Snapshot], None]) -> Callable[[], None]:
        """Call back with each new snapshot, at most five a second, from another thread; answers what ends that."""
        return self._showing.subscribe(callback)

    def history(self) -> list[dict[str, Any]]:
        """What was learned after the batches that are kept, the first one first."""
        return self._bench.memory.history()

    def rejects(self) -> list[dict[str, Any]]:
        """The rows that were not learned, those that are not settled first."""
        return self._bench.memory.rejects()

    def events(self, limit: int = 100) -> list[dict[str, Any]]:
        """What happened, the newest first, as far as it is written; what has just happened is waited for a moment."""
        with suppress(TooLate, RuntimeError):
            self._bench.do(self._bench.write_events).result(PATIENCE_SECONDS)
        return self._bench.memory.events(limit)

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except Exception as error:
            logger.exception("the runner of %s has ended", self._spec.name)
            self._following.stand("failed", f"it has ended by a fault of its own: {error}")
        finally:
            self._following.asked.refuse()

    async def _live(self) -> None:
        showing = asyncio.create_task(self._showing.serve())
        try:
            async with self._source as source:
                await self._following.live(source)
        finally:
            showing.cancel()
            await asyncio.gather(showing, return_exceptions=True)

    def _stored_rows(self, until: int) -> Iterator[Row]:
        """The rows that were learned first, as long as the runner is not to end."""
        for row in self._bench.memory.stored_rows(until):
            if self._following.is_stopping:
                raise FeedError(f"{self._spec.name} is not run any more: its audit was given up")
            yield row

    def _try_again(self, kind: str) -> None:
        self._following.must_open |= not self._bench.memory.is_open
        self._steered(kind)

    def _steered(self, kind: str, **detail: Any) -> None:  # noqa: ANN401 - JSON
        self._bench.note(kind, **detail)
        self._show()
        self._following.wake()

    def _ask(self, what: Callable[[], Awaitable[T]]) -> T:
        future = self._following.asked.ask(what)
        self._following.wake()
        return future.result()

    def _show(self) -> None:
        self._showing.changed()

    def _make_snapshot(self, number: int) -> Snapshot:
        """The snapshot of this number, on the bench; 0 is before anything was learned or drawn."""
        seen = document(self._spec, self._bench, self._following.standing, self._bench.views() if number else {})
        steering = {
            "ignored": self._source.ignored,
            "retries": self._source.retries - self._retries_before,
            "requests": self._source.requests,
            "pages_a_batch": self._control.pages_a_batch,
            "speed": self._control.batches_a_second,
            "in_flight": self._in_flight,
        }
        return Snapshot(number, {"number": number} | seen | steering)


def _http_source(spec: FeedSpec, url: str | None, **wishes: Any) -> Source:  # noqa: ANN401 - as `Source` takes them
    from diamonds.streams.reading.source import Source

    return Source(spec, url, **wishes)
