"""The champion as a process that learns sees it: looked up in the database, loaded from the disk, and followed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from diamonds.errors import ArtefactError
from diamonds.pricer import Pricer, load
from diamonds.store import history

logger = logging.getLogger(__name__)

#: Between two looks at the database.
LOOK_SECONDS = 3.0


class ChampionWatch:
    """The present champion's pricer, at most `LOOK_SECONDS` old; call it between batches.

    Attributes:
        problem: Why there is none, in plain words; None where there is one.
    """

    def __init__(self, engine: Engine, root: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Name the database, and the folder that relative places of saved pricers start from."""
        self.problem: str | None = None
        self._engine = engine
        self._root = root
        self._clock = clock
        self._next_look = -float("inf")
        self._promotion: int | None = None
        self._pricer: Pricer | None = None

    def __call__(self) -> Pricer | None:
        """The champion; None where there is none, or where it cannot be loaded.

        While the database is away it stays whoever it was.
        """
        if self._clock() >= self._next_look:
            self._next_look = self._clock() + LOOK_SECONDS
            self._look()
        return self._pricer

    def _look(self) -> None:
        try:
            entry = history.champion(self._engine)
        except SQLAlchemyError as error:
            logger.warning("whether the champion is another cannot be told now: %s", error)
            return
        if entry is None:
            self._promotion, self._pricer = None, None
            self.problem = "there is no champion yet: train one with `kedro run`"
        elif self._pricer is None or entry.promotion_id != self._promotion:
            self._take(entry)

    def _take(self, entry: history.Champion) -> None:
        try:
            self._pricer, self.problem = load(self._root / entry.artefact), None
            logger.info("prices are compared with those of %s %s", entry.name, entry.version)
        except ArtefactError as error:
            told = f"the champion {entry.name} {entry.version} cannot be loaded: {error}"
            if told != self.problem:
                logger.error(told)
            self._pricer, self.problem = None, told
        self._promotion = entry.promotion_id
