"""How a feed fails: by a seed, so that the same failures come again."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

Rows = list[dict[str, Any]]

#: What may go wrong with an answer, and is well when it is asked for again.
KINDS = (
    "error", "busy", "hang", "reset", "truncated", "html", "object",
    "doubled", "shuffled", "swapped", "short", "garbled",
)  # fmt: skip


@dataclass
class Faults:
    """Faults of a feed.

    Attributes:
        rate: The share of answers that go wrong.
        seed: Of what goes wrong when.
        kinds: What may go wrong.
        bad_every: Each row whose key it divides is wrong for good; 0 for none.
    """

    rate: float = 0.0
    seed: int = 0
    kinds: tuple[str, ...] = KINDS
    bad_every: int = 0
    _asked: Counter[int] = field(default_factory=Counter)

    def next(self, page: int) -> tuple[str | None, random.Random]:
        """What goes wrong this time, if anything, and what draws its details."""
        self._asked[page] += 1
        drawn = random.Random(f"{self.seed} {page} {self._asked[page]}")  # noqa: S311 - it keeps no secret
        return (drawn.choice(self.kinds) if drawn.random() < self.rate else None), drawn

    def spoil(self, rows: Rows, key: str) -> Rows:
        """The rows, those that are wrong for good among them."""
        if not self.bad_every:
            return rows
        return [_garbled(row, key) if row[key] % self.bad_every == 0 else row for row in rows]


def mistaken(kind: str, rows: Rows, key: str, drawn: random.Random) -> bytes:
    """The body of an answer that goes wrong in its rows."""
    rows = list(rows)
    if kind == "doubled" and rows:
        rows.insert(drawn.randrange(len(rows)), drawn.choice(rows))
    elif kind == "shuffled":
        drawn.shuffle(rows)
    elif kind == "short":
        del rows[drawn.randrange(len(rows) + 1) :]
    elif kind == "garbled" and rows:
        at = drawn.randrange(len(rows))
        rows[at] = _garbled(rows[at], key)
    body = json.dumps(rows).encode()
    if kind == "truncated":
        return body[: drawn.randrange(1, max(len(body), 2))]
    if kind == "object":
        return json.dumps({"rows": rows}).encode()
    return b"<html><body>Bad gateway</body></html>" if kind == "html" else body


def _garbled(row: dict[str, Any], key: str) -> dict[str, Any]:
    field_name = next(name for name in row if name != key)
    return row | {field_name: "n/a"}
