"""The bench: a thread on which all is done that uses the learners and their memory, one thing after the other."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from sqlalchemy import Engine

from diamonds.errors import DatabaseError, UntaughtError
from diamonds.store.revision import code_version
from diamonds.streams.learners import Learner
from diamonds.streams.memory.checkpoint import Checkpoint
from diamonds.streams.memory.memory import RECENT, Memory
from diamonds.streams.memory.transaction import Committed
from diamonds.streams.running.snapshot import Rate
from diamonds.streams.spec import FeedSpec, Row

if TYPE_CHECKING:
    from diamonds.streams.reading.page import Page

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
#: Events that wait for a database that is away.
MOST_WAITING = 1_000


class Bench:
    """The learners of a feed at work.

    Attributes:
        spec: The feed.
        memory: What is remembered; what only reads of it may be called from any thread.
        executor: The thread; `open` and all below it are called there.
        last: The newest checkpoint that was seen, also where the memory is not open; None before any.
        recent: The fields of the newest rows, the last one last.
        rate: How quickly rows are learned.
    """

    def __init__(self, engine: Engine, spec: FeedSpec, make_learners: Callable[[FeedSpec], dict[str, Learner]]) -> None:
        """Open nothing yet."""
        self.spec, self._make_learners = spec, make_learners
        self.memory = Memory(engine, spec, make_learners=make_learners, code_version=code_version(Path()))
        self.executor = ThreadPoolExecutor(1, thread_name_prefix=f"{spec.name}-learner")
        self.last: Checkpoint | None = None
        self.recent: deque[tuple[Any, ...]] = deque(maxlen=RECENT)
        self.rate = Rate()
        self._events: deque[tuple[str, dict[str, Any], datetime]] = deque(maxlen=MOST_WAITING)

    def do(self, what: Callable[P, T], *given: P.args, **named: P.kwargs) -> Future[T]:
        """Do something after all that waits already."""
        return self.executor.submit(what, *given, **named)

    def note(self, kind: str, **detail: Any) -> None:  # noqa: ANN401 - JSON
        """Enter an event, or as soon as the database is there again."""
        self._events.append((kind, detail, datetime.now(UTC)))
        with suppress(RuntimeError):  # it is at its end: what waits is written there
            self.do(self.write_events)

    def note_status(self, status: str) -> None:
        """Let the checkpoint say how the stream stands, if it can."""
        with suppress(RuntimeError):
            self.do(self._write_status, status)

    def close(self) -> None:
        """Do what waits, and end."""
        self.executor.shutdown()

    def open(self) -> Checkpoint:
        """Hold what the last checkpoint says."""
        return self.opened(self.memory.open())

    def commit(self, pages: Sequence[Page]) -> Committed:
        """Learn pages and remember them."""
        return self._learned(self.memory.commit(pages))

    def read_again(self, page: Page) -> Committed:
        """Learn what is new in a page that was read before."""
        return self._learned(self.memory.read_again(page))

    def opened(self, checkpoint: Checkpoint) -> Checkpoint:
        """See what the memory holds since it was opened or reset."""
        self.last = checkpoint
        self.recent.clear()
        self.recent.extend(self.memory.recent())
        return checkpoint

    def answer(self, row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """What each learner predicts for a row; those that cannot yet are left out.

        Raises:
            UntaughtError: None can.
        """
        answers = {}
        for name, learner in self.memory.learners.items():
            with suppress(UntaughtError):
                answers[name] = learner.answer(row)
        if not answers or not self.last or not self.last.rows:
            raise UntaughtError(f"nothing was learned from {self.spec.name} yet: start the stream, then ask again")
        return answers

    def copy_learners(self) -> tuple[dict[str, Learner], int]:
        """Learners that hold what these hold, and how many rows that is.

        Raises:
            UntaughtError: They have learned nothing.
        """
        if not self.memory.is_open or not self.memory.checkpoint.rows:
            raise UntaughtError(f"nothing was learned from {self.spec.name} yet: there is nothing to audit")
        copies = self._make_learners(self.spec)
        for name, learner in self.memory.learners.items():
            if getattr(learner, "needs_replay", False):  # its state says too little
                copies[name] = deepcopy(learner)
            else:
                copies[name].load(learner.dump())
        return copies, self.memory.checkpoint.rows

    def views(self) -> dict[str, dict[str, Any]]:
        """What each learner would have drawn beside its figures."""
        rows: list[Row] = [dict(zip(self.spec.fields, row, strict=True)) for row in self.recent]
        return {name: learner.view(rows) for name, learner in self.memory.learners.items()}

    def write_events(self) -> None:
        """Write the events that wait; where the database is away, they go on waiting."""
        while self._events:
            kind, detail, at = self._events[0]
            try:
                self.memory.record_event(kind, detail, at)
            except DatabaseError as error:
                logger.warning("an event of %s waits for the database: %s", self.spec.name, error)
                return
            self._events.popleft()

    def _write_status(self, status: str) -> None:
        try:
            self.memory.set_status(status)
        except DatabaseError as error:
            logger.warning("the status of %s is not in the database: %s", self.spec.name, error)

    def _learned(self, committed: Committed) -> Committed:
        self.last = committed.checkpoint
        self.recent.extend(tuple(row[name] for name in self.spec.fields) for row in committed.new)
        self.rate.add(len(committed.new))
        return committed
