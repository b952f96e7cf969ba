"""The stones that were asked about of late, as the traffic log has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import islice
from typing import Any, NoReturn

import pandas as pd
from kedro.io import AbstractDataset, DatasetError
from pydantic import TypeAdapter, ValidationError

from diamonds.datasets.window import Window, reading
from diamonds.schema import Diamond, frame_of
from diamonds.store import lookups

#: The routes that quote, and how a body of each is read.
QUOTING: dict[str, TypeAdapter[Any]] = {
    "/predict": TypeAdapter(Diamond),
    "/explain": TypeAdapter(Diamond),
    "/predict/batch": TypeAdapter(list[Diamond]),
}
COLUMNS = ("request_id", "received_at", "path", "status", "client", "request_body", "request_sha256")
OK = 200
#: A caller who asks the same again within this time asks once: a page asks for a price and for its reasons.
AGAIN = timedelta(hours=1)
#: Why the stones of an exchange do not count.
REFUSED, CUT, UNREADABLE, REPEATED = SKIPPED = ("refused", "cut", "unreadable", "repeated")


@dataclass(frozen=True)
class TrafficWindow:
    """The stones of a window.

    Attributes:
        window: Its ends.
        read_at: When it was read.
        stones: A row a stone that counts, with the columns `schema.FEATURES`; measurements not given are NaN.
        exchanges: How many exchanges were read.
        skipped: How many of these do not count, by why: `refused`, `cut` where the log keeps only the beginning of a
            long body, `unreadable` where a field of it is masked, `repeated` by the same caller within an hour.
        whole: Whether all of the window was read; older exchanges beyond the bounds are not.
    """

    window: Window
    read_at: datetime
    stones: pd.DataFrame
    exchanges: int
    skipped: dict[str, int]
    whole: bool


class TrafficWindowDataset(AbstractDataset[NoReturn, TrafficWindow]):
    """The stones that `/predict`, `/explain` and `/predict/batch` quoted in a window, the newest first."""

    def __init__(
        self,
        *,
        since: str = "7d",
        until: str | None = None,
        most_exchanges: int = 20_000,
        most_stones: int = 100_000,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Name the window.

        Args:
            since: Its beginning, a moment by ISO 8601 or an age.
            until: Its end, likewise; now where there is none.
            most_exchanges: How many are read at most.
            most_stones: No exchange is read once there are so many.
            metadata: For Kedro's plugins.
        """
        self.metadata = metadata
        self._since, self._until = since, until
        self._most_exchanges, self._most_stones = most_exchanges, most_stones

    def load(self) -> TrafficWindow:
        """Read the log.

        Raises:
            ConfigurationError: The window is none.
            DatabaseError: The database is away.
        """
        window = Window.of(self._since, self._until)
        paths = [lookups.Asked(since=window.since, until=window.until, path=path) for path in QUOTING]
        with reading("the traffic log") as engine:
            found = [lookups.exchanges(engine, asked, self._most_exchanges + 1, columns=COLUMNS) for asked in paths]
            newest_first = merge(*found, key=lambda exchange: exchange["request_id"], reverse=True)
            return self._gather(window, newest_first)

    def save(self, data: NoReturn) -> None:  # noqa: ARG002 - Kedro's signature
        """Refuse: exchanges enter themselves."""
        raise DatasetError("the traffic log is only read")

    def _gather(self, window: Window, newest_first: Iterator[dict[str, Any]]) -> TrafficWindow:
        stones: list[Diamond] = []
        skipped: Counter[str] = Counter(dict.fromkeys(SKIPPED, 0))
        exchanges = 0
        for why, asked in _asked(islice(newest_first, self._most_exchanges)):
            exchanges += 1
            stones += asked
            skipped.update([why] if why else [])
            if len(stones) >= self._most_stones:
                break
        whole = next(newest_first, None) is None
        described = frame_of([stone.__dict__ for stone in stones])
        return TrafficWindow(window, datetime.now(UTC), described, exchanges, dict(skipped), whole)

    def _describe(self) -> dict[str, Any]:
        return {"since": self._since, "until": self._until}


def _asked(newest_first: Iterable[dict[str, Any]]) -> Iterator[tuple[str | None, tuple[Diamond, ...]]]:
    """Of each exchange the stones that count, or why none does."""
    met: dict[tuple[Any, ...], datetime] = {}
    for exchange in newest_first:
        why, stones = _read(exchange)
        if why is None:
            key, moment = (exchange["client"], stones), exchange["received_at"]
            newer, met[key] = met.get(key), moment
            if newer is not None and newer - moment <= AGAIN:
                why, stones = REPEATED, ()
        yield why, stones


def _read(exchange: dict[str, Any]) -> tuple[str | None, tuple[Diamond, ...]]:
    if exchange["status"] != OK:
        return REFUSED, ()
    if exchange["request_sha256"] is not None:
        return CUT, ()
    try:
        read = QUOTING[exchange["path"]].validate_json(exchange["request_body"] or "null")
    except ValidationError:
        return UNREADABLE, ()
    return None, tuple(read) if isinstance(read, list) else (read,)
