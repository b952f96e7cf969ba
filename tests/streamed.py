"""What tests of streams share: employees in pages, a learner of a few lines, and what a memory holds, to compare."""

import json
from collections.abc import Iterable, Sequence

from sqlalchemy import text

from diamonds.streams.feeding.generators import employees
from diamonds.streams.page import Page, Reject
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
    return Page(number, tuple(rows), kept, held if size is None else size, 0, 0, number + (held >= 10))


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
