"""How far the market has moved since the champion was trained, as another process learns it from a feed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from diamonds.pricer import Pricer
from diamonds.store.streams import MarketIndex

logger = logging.getLogger(__name__)

#: How often the database is asked, and for how long what it said last holds while it is away.
LOOK_SECONDS, KEPT_SECONDS = 2.0, 600.0
#: Decimals of the index: what is shown is what prices are multiplied by.
DECIMALS = 4


class Market(NamedTuple):
    """What all prices of one answer are multiplied by, named as answers have it.

    Attributes:
        market_index: 1 where prices are to stay as they are.
        as_of_rows: How many rows of the feed were seen for that; 0 where nothing is known for this model.
    """

    market_index: float
    as_of_rows: int


class Known(NamedTuple):
    """What was read.

    Attributes:
        learned: As it is kept.
        market: What the prices of its model are multiplied by.
    """

    learned: MarketIndex
    market: Market


#: Of a model beside which nothing was learned, or not for long.
UNKNOWN = Market(1.0, 0)


class MarketWatch:
    """The market index of a feed, looked up again and again."""

    def __init__(
        self, feed: str, read: Callable[[str], MarketIndex | None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Know nothing yet; `read` asks the database for the index of a feed."""
        self._feed = feed
        self._read = read
        self._clock = clock
        self._found: Known | None = None
        self._holds_until = -float("inf")
        self._said: str | None = None

    def of(self, pricer: Pricer) -> Market:
        """What the prices of this model are to be multiplied by now."""
        known = self.known_of(pricer)
        return known.market if known else UNKNOWN

    def known_of(self, pricer: Pricer) -> Known | None:
        """All that is known of the market beside this model's prices; None where it was learned beside another's."""
        found = self._found
        if found is None or (found.learned.version, found.learned.model) != (pricer.version, pricer.name):
            return None
        return found if self._clock() < self._holds_until else None

    def look(self) -> None:
        """Ask the database; while it is away, what it said last holds for `KEPT_SECONDS`."""
        try:
            index = self._read(self._feed)
        except SQLAlchemyError as error:
            why = str(error).partition("\n")[0]
            self._say(f"cannot be read, and what is known holds for {KEPT_SECONDS / 60:.0f} minutes", why)
            return
        self._found = Known(index, _market(index)) if index else None
        self._holds_until = self._clock() + KEPT_SECONDS
        if index is None:
            self._say("is not known", f"learn it with `diamonds stream {self._feed}`")
        else:
            self._said = None

    async def follow(self, threads: Executor) -> None:
        """Look again and again, without keeping requests waiting."""
        while True:
            try:
                await asyncio.get_running_loop().run_in_executor(threads, self.look)
            except Exception:
                logger.exception("the market index of %s could not be taken", self._feed)
            await asyncio.sleep(LOOK_SECONDS)

    def _say(self, what: str, why: str) -> None:
        """Say it, unless that was the last thing said."""
        if what != self._said:
            logger.error("the market index of %s %s: %s", self._feed, what, why)
        self._said = what


def _market(index: MarketIndex) -> Market:
    """Prices are multiplied only by an index that is offered."""
    return Market(round(index.index, DECIMALS) if index.offered else 1.0, index.rows)
