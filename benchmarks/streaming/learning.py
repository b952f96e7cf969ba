"""A process that learns from a feed to its last row, unless it dies: at a named point, or after some seconds."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from typing import Any

from sqlalchemy import Engine, event

from diamonds.config import Settings
from diamonds.store.database import open_database, require_current
from diamonds.streams.reading.cursor import Cursor
from diamonds.streams.reading.page import Page
from diamonds.streams.reading.source import End, Source
from diamonds.streams.running.runner import Runner
from diamonds.streams.spec import FeedSpec

#: Where a process dies: as a batch begins, with its rows inserted, with all written, once it is committed, or with a
#: page just read; or wherever it is after some seconds.
POINTS = ("begin", "inserted", "written", "committed", "fetched")
ANYWHERE = "anywhere"
#: How a process ends that failed, or that another one shut out.
FAILED, REFUSED = 3, 4


@dataclass(frozen=True)
class Death:
    """When a process dies.

    Attributes:
        point: One of `POINTS`, or anywhere.
        after: The how-many-eth time it is there, or after how many seconds.
    """

    point: str
    after: float


@dataclass(frozen=True)
class Task:
    """What a process learns, and how.

    Attributes:
        spec: The feed.
        url: Where it is served.
        database: The URL of its database.
        total: How many rows it has at last, those among them that are no rows.
        pages_a_batch: How many pages are learned in one transaction.
        in_flight: How many are asked for at once.
        death: When it dies; None where it learns to the end.
    """

    spec: FeedSpec
    url: str
    database: str
    total: int
    pages_a_batch: int = 10
    in_flight: int = 4
    death: Death | None = None


def start(task: Task) -> ForkServerProcess:
    """Start such a process, forked from one that has imported what it needs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=learn, args=(task,))
    process.start()
    return process


def learn(task: Task) -> None:
    """Learn all rows, and end with status 0; or die."""
    engine = open_database(Settings(database_url=task.database), durable=True)
    require_current(engine)
    dying = _Dying(task.death)
    dying.listen(engine)
    runner = Runner(
        task.spec, engine, url=task.url, make_source=dying.source,
        pages_a_batch=task.pages_a_batch, in_flight=task.in_flight,
    )  # fmt: skip
    runner.start_thread()
    status = _wait(runner, task.total)
    runner.stop()
    sys.exit(status)


def _wait(runner: Runner, total: int) -> int:
    seen = runner.snapshot()
    while True:
        document = seen.document
        if document["status"] == "caught up" and document["rows"] + document["rejected"] >= total:
            return 0
        if document["status"] in {"failed", "paused"} and document["reason"]:
            print(document["reason"], file=sys.stderr)
            return FAILED if document["status"] == "failed" else REFUSED
        seen = runner.wait(seen.number, 1)


class _Dying:
    """Watches a process come to the points where it may die."""

    def __init__(self, death: Death | None) -> None:
        self._death, self._times, self._in_batch = death, 0, False
        if death is not None and death.point == ANYWHERE:
            timer = threading.Timer(death.after, _die)
            timer.daemon = True
            timer.start()

    def listen(self, engine: Engine) -> None:
        """Watch the statements of a database."""
        event.listen(engine, "before_cursor_execute", self._before)
        event.listen(engine, "after_cursor_execute", self._after)
        event.listen(engine, "commit", lambda _: self._committing())
        event.listen(engine, "checkin", lambda *_: self._checked_in())

    def source(self, *given: Any, **named: Any) -> Source:  # noqa: ANN401 - as `Source` takes them
        """A source whose pages are watched."""
        source = Source(*given, **named)
        source.pages = self._watched(source.pages)  # type: ignore[method-assign]
        return source

    def _watched(self, pages: Callable[..., AsyncIterator[Page | End]]) -> Callable[..., AsyncIterator[Page | End]]:
        async def watched(cursor: Cursor, *, follow: bool) -> AsyncIterator[Page | End]:
            async for item in pages(cursor, follow=follow):
                self._at("fetched")
                yield item

        return watched

    def _before(self, *given: Any) -> None:  # noqa: ANN401 - SQLAlchemy's event
        if given[2].startswith("SELECT stream_checkpoint.version"):
            self._at("begin")

    def _after(self, *given: Any) -> None:  # noqa: ANN401 - SQLAlchemy's event
        if given[2].startswith("INSERT INTO data_"):
            self._in_batch = True
            self._at("inserted")

    def _committing(self) -> None:
        if self._in_batch:
            self._at("written")

    def _checked_in(self) -> None:
        if self._in_batch:
            self._in_batch = False
            self._at("committed")

    def _at(self, point: str) -> None:
        if self._death is not None and self._death.point == point:
            self._times += 1
            if self._times >= self._death.after:
                _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
