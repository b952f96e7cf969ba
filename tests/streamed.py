"""What tests of streams share: employees in pages, a learner of a few lines, and what a memory holds, to compare."""

import asyncio
import json
import threading
import time
from collections.abc import Iterable, Sequence

from sqlalchemy import text

from diamonds.streams.feeding.generators import employees
from diamonds.streams.reading.cursor import Cursor
from diamonds.streams.reading.page import Page, Reject
from diamonds.streams.reading.source import End
from diamonds.streams.spec import FeedSpec

SPEC = FeedSpec.model_validate(
    {
        "name": "promotions",
        "url": "http://127.0.0.1:5000",
        "columns": {
            "competence": {"type": "number"},
            "network_ability": {"type": "number"},
            "promoted": {"type": "boolean"},
        },
        "learners": {"fading": {"kind": "fading"}},
    }
)


class Fading:
    """Remembers the newest rows best: what it holds tells any other order, and any row learned twice or not at all."""

    def __init__(self) -> None:
        self.rows, self.level = 0, 0.0

    def learn(self, row):
        self.rows += 1
        self.level += (row["competence"] + 3 * row["promoted"] - self.level) / 7

    def answer(self, row):
        return {"estimate": self.level}

    def dump(self):
        return {"rows": self.rows, "level": self.level}

    def load(self, document):
        self.rows, self.level = document["rows"], document["level"]

    def report(self):
        coefficient = {"term": "level", "estimate": self.level, "se": 0.0, "low": self.level, "high": self.level}
        return {
            "coefficients": [coefficient],
            "scores": {"rows": float(self.rows)},
            "statistics": {"level": self.level},
        }

    def view(self, recent):
        return {"seen": len(recent)}

    def audit(self, rows):
        again = Fading()
        for row in rows:
            again.learn(row)
        gap = abs(again.level - self.level)
        return [{"what": "level", "streamed": self.level, "batch": again.level, "gap": gap, "unit": "absolute"}]


def fading(spec):
    return {"fading": Fading()}


def rows_from(start: int, stop: int) -> list[dict]:
    """The employees with the ids from `start` to `stop`."""
    return employees("sum", 7, start - 1, stop)


def page(number: int, rows: Sequence[dict], rejects: Iterable[tuple[str, str]] = (), size: int | None = None) -> Page:
    """A page with these good rows, and rejects of these keys and reasons."""
    kept = tuple(Reject(number, key, reason, f'{{"id": {key}}}') for key, reason in rejects)
    held = len(rows) + len(kept)
    return Page(number, tuple(rows), kept, held if size is None else size, number + (held >= 10))


def pages_of(rows: Sequence[dict], first: int = 0) -> list[Page]:
    """The rows as pages of ten."""
    return [page(first + start // 10, rows[start : start + 10]) for start in range(0, len(rows), 10)]


def learned(engine, feed: str = "promotions") -> dict:
    """All that is the same whatever the way it was learned: rows, open rejects and the checkpoint, as one reads them."""
    asked = {
        "rows": f"SELECT * FROM data_{feed} ORDER BY position",  # noqa: S608 - a name of our own
        "rejects": "SELECT page, key, reason, raw, counted FROM stream_reject WHERE resolved_at IS NULL ORDER BY page, key",
        "checkpoint": "SELECT page, last_key, rows, rejected, state, coefficients, statistics FROM stream_checkpoint",
    }
    with engine.connect() as connection:
        found = {name: [dict(row) for row in connection.execute(text(sql)).mappings()] for name, sql in asked.items()}
    for row in found["rows"]:
        del row["seen_at"]
    for row in found["checkpoint"]:
        documents = ("state", "coefficients", "statistics")
        row |= {name: json.loads(row[name]) for name in documents if isinstance(row[name], str)}
    return found


class Shelf:
    """A feed in memory, and the source that reads it: pages of ten, growing and failing as a test wants."""

    def __init__(self, rows: Sequence[dict]) -> None:
        self.rows = list(rows)
        self.rejects: dict[int, str] = {}
        self.trouble: Exception | None = None
        self.given: list[int] = []
        self.gave = threading.Condition()
        self.tell = None
        self._sources: list[ShelfSource] = []

    def source(self, spec, url, *, in_flight, tell):
        self.tell = tell
        self._sources.append(ShelfSource(self))
        return self._sources[-1]

    def grow(self, rows):
        self.rows += rows
        self.call(self._sources[-1].news.set)

    @property
    def newest_source(self):
        return self._sources[-1]

    def call(self, what):
        """Do something in the loop of the source."""
        self._sources[-1].loop.call_soon_threadsafe(what)

    def page(self, number):
        rows = self.rows[10 * number : 10 * number + 10]
        rejects = [(str(row["id"]), self.rejects[row["id"]]) for row in rows if row["id"] in self.rejects]
        return page(number, [row for row in rows if row["id"] not in self.rejects], rejects)

    def wait_until_given(self, number):
        with self.gave:
            assert self.gave.wait_for(lambda: number in self.given, 20), self.given


class ShelfSource:
    def __init__(self, shelf: Shelf) -> None:
        self.shelf, self.requests, self.retries, self.ignored, self.next_look_seconds = shelf, 0, 0, 0, None

    async def __aenter__(self):
        self.loop, self.news = asyncio.get_running_loop(), asyncio.Event()
        return self

    async def __aexit__(self, *error):
        pass

    async def pages(self, cursor, *, follow):
        number, size = cursor.page, 0
        while True:
            await asyncio.sleep(0)
            self.requests += 1
            if self.shelf.trouble:
                raise self.shelf.trouble
            read = self.shelf.page(number)
            if read.size > size:
                with self.shelf.gave:
                    self.shelf.given.append(number)
                    self.shelf.gave.notify_all()
                yield read
                size = read.size
            if read.next_page > number:
                number, size = read.next_page, 0
                continue
            self.next_look_seconds = 3.5
            self.news.clear()
            yield End(Cursor(number, None))
            if not follow:
                return
            await self.news.wait()

    async def read_again(self, number):
        return self.shelf.page(number)


def until(runner, holds):
    """The first snapshot's document of which this holds."""
    seen, deadline = runner.snapshot(), time.monotonic() + 20
    while not holds(seen.document):
        assert time.monotonic() < deadline, seen.document
        seen = runner.wait(seen.number, 1)
    return seen.document


def status(*names):
    return lambda document: document["status"] in names
