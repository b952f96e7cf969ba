"""What is to be seen of a stream at a moment, as JSON."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from diamonds.streams.spec import FeedSpec

if TYPE_CHECKING:
    from diamonds.streams.memory.checkpoint import Checkpoint
    from diamonds.streams.running.bench import Bench

Status = Literal["running", "paused", "caught up", "stalled", "failed"]
#: How far back the rate looks.
RATE_SECONDS = 5.0


@dataclass(frozen=True)
class Standing:
    """How a stream stands.

    Attributes:
        status: In a word or two.
        reason: In plain words: the last error, or why it is paused.
        next_look: When the end of the feed is looked at again, on the monotonic clock.
    """

    status: Status
    reason: str | None = None
    next_look: float | None = None

    @property
    def next_look_seconds(self) -> float | None:
        """In how many seconds the end is looked at again."""
        return None if self.next_look is None else round(max(0.0, self.next_look - time.monotonic()), 1)


@dataclass(frozen=True)
class Snapshot:
    """Everything that a page or a terminal shows of a stream; it does not change any more.

    Attributes:
        number: Rises with each.
        document: All of it; `Runner` says what is in it.
    """

    number: int
    document: Mapping[str, Any]

    @cached_property
    def data(self) -> bytes:
        """The document as JSON."""
        return json.dumps(self.document, allow_nan=False, separators=(",", ":")).encode()


@dataclass
class Rate:
    """How many rows a second were learned lately."""

    _learned: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, rows: int) -> None:
        """So many were learned just now."""
        self._learned.append((time.monotonic(), rows))
        self._forget()

    def begin(self) -> None:
        """Count from here: nothing was learned before."""
        self._learned.clear()
        self._learned.append((time.monotonic(), 0))

    @property
    def rows_a_second(self) -> float | None:
        """None where nothing was learned lately."""
        self._forget()
        rows = sum(rows for _, rows in list(self._learned)[1:])
        if not rows:
            return None
        return round(rows / max(time.monotonic() - self._learned[0][0], 1e-3), 1)

    def _forget(self) -> None:
        while len(self._learned) > 1 and self._learned[1][0] < time.monotonic() - RATE_SECONDS:
            self._learned.popleft()


def document(
    spec: FeedSpec, bench: Bench, standing: Standing, views: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """What a feed, its learners and their work look like now."""
    last = bench.last
    return {
        "feed": spec.name,
        "about": spec.about,
        "version": last.version if last else 0,
        "status": standing.status,
        "reason": standing.reason,
        "page": last.page if last else spec.first_page,
        "rows": last.rows if last else 0,
        "rejected": last.rejected if last else 0,
        "revised": last.revised if last else 0,
        "rate": bench.rate.rows_a_second if standing.status == "running" else None,
        "next_look_seconds": standing.next_look_seconds,
        "updated_at": moment(last.updated_at) if last else None,
        "key": spec.key,
        "columns": {name: column.model_dump(exclude_none=True) for name, column in spec.columns.items()},
        "learners": {name: _learner(spec, name, last, views.get(name, {})) for name in spec.learners},
        "recent": [list(row) for row in bench.recent],
    }


def _learner(spec: FeedSpec, name: str, last: Checkpoint | None, view: Mapping[str, Any]) -> dict[str, Any]:
    statistics = dict(last.statistics.get(name, {})) if last else {}
    return {
        "kind": spec.learners[name].kind,
        "coefficients": last.coefficients.get(name, []) if last else [],
        "scores": statistics.pop("scores", {}),
        "statistics": statistics,
        "view": view,
    }


def moment(at: datetime) -> str:
    """A moment as JSON has it, in UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
