"""How the service fares: its requests of the last hour by minute and of the last day by hour, counted by kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from sqlalchemy import Engine

from diamonds.store import lookups
from diamonds.store.lookups import Per

#: What became of a request, by the first digit of its status.
ANSWERED, REFUSED, FAILED = KINDS = ("answered", "refused", "failed")
#: What a status means here, for people.
MEANINGS = {
    200: "answered",
    400: "not JSON",
    401: "without the admin token",
    403: "not from this machine",
    404: "no such address, or nothing by that name",
    405: "an address that does not take the method",
    408: "did not arrive whole in time",
    409: "contradicts what is kept already",
    413: "larger than 4 MiB",
    415: "not sent as application/json",
    422: "what was sent does not hold",
    499: "the caller left before the answer",
    500: "an error of the service",
    503: "no champion, too much at once, or the database away",
    504: "the answer took too long",
}
_STEPS: dict[Per, timedelta] = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1)}


def kind(status: int) -> str:
    """What became of a request.

    >>> kind(200), kind(422), kind(503)
    ('answered', 'refused', 'failed')
    """
    return ANSWERED if status < HTTPStatus.BAD_REQUEST else FAILED if status >= 500 else REFUSED  # noqa: PLR2004


def meaning(status: int) -> str:
    """What a status means, for people."""
    if status in MEANINGS:
        return MEANINGS[status]
    known = {each.value: each.phrase.lower() for each in HTTPStatus}
    return known.get(status, kind(status))


@dataclass
class Bucket:
    """The requests of a minute, an hour, or several of them.

    Attributes:
        moment: Its beginning, UTC.
        by_status: How many there were.
        total_ms: How long all of them took.
        slowest_ms: How long the slowest took.
    """

    moment: datetime
    by_status: dict[int, int] = field(default_factory=dict)
    total_ms: float = 0.0
    slowest_ms: float = 0.0

    def add(self, status: int, exchanges: int, mean_ms: float, slowest_ms: float) -> None:
        """Count some more."""
        self.by_status[status] = self.by_status.get(status, 0) + exchanges
        self.total_ms += exchanges * mean_ms
        self.slowest_ms = max(self.slowest_ms, slowest_ms)

    @property
    def requests(self) -> int:
        """How many there were."""
        return sum(self.by_status.values())

    @property
    def mean_ms(self) -> float | None:
        """How long they took on average; None where there were none."""
        return self.total_ms / self.requests if self.requests else None

    def of(self, name: str) -> int:
        """How many of a kind there were."""
        return sum(number for status, number in self.by_status.items() if kind(status) == name)


@dataclass(frozen=True)
class Span:
    """A time up to now in equal parts, oldest first; the last one is not over."""

    per: Per
    buckets: list[Bucket]

    @property
    def total(self) -> Bucket:
        """All of it."""
        total = Bucket(self.buckets[0].moment)
        for bucket in self.buckets:
            total.total_ms += bucket.total_ms
            total.slowest_ms = max(total.slowest_ms, bucket.slowest_ms)
            for status, number in bucket.by_status.items():
                total.by_status[status] = total.by_status.get(status, 0) + number
        return total


def span(engine: Engine, now: datetime, per: Per, parts: int, patience_seconds: float) -> Span:
    """The last minutes or hours, the present one among them.

    Raises:
        DBAPIError: The database is away, or takes longer.
    """
    last = now.replace(minute=now.minute if per == "minute" else 0, second=0, microsecond=0)
    first, until = last - (parts - 1) * _STEPS[per], last + _STEPS[per]
    return _filled(first, per, parts, lookups.counts(engine, first, until, per, patience_seconds))


def _filled(first: datetime, per: Per, parts: int, counts: Iterable[Mapping[str, Any]]) -> Span:
    """Also what there was nothing in."""
    buckets = {moment: Bucket(moment) for moment in (first + part * _STEPS[per] for part in range(parts))}
    for each in counts:
        buckets[each["moment"]].add(each["status"], each["exchanges"], each["mean_ms"], each["slowest_ms"])
    return Span(per, list(buckets.values()))
