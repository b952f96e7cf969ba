"""What one worker of the service holds while it runs: the champion, and the way to the traffic log."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from diamonds.config import read_settings
from diamonds.errors import ArtefactError, DatabaseError, SchemaBehindError
from diamonds.pricer import Pricer, load
from diamonds.similar import SimilarStones
from diamonds.store import traffic
from diamonds.store.database import open_database, require_current
from diamonds.store.outbox import Outbox, Shipper

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedChampion:
    """A pricer, ready to answer."""

    pricer: Pricer
    similar: SimilarStones


class Serving:
    """The champion and the outbox of this worker; empty until it is opened."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self.champion: LoadedChampion | None = None
        self._outbox: Outbox | None = None
        self._shipper: Shipper | None = None
        self._engine: Engine | None = None

    def open(self, champion_folder: Path | None) -> None:
        """Load the champion, if there is one, and open the outbox."""
        settings = read_settings()
        self._engine = open_database(settings)
        self._outbox = Outbox(settings.outbox)
        self._shipper = Shipper(self._outbox, partial(_ship, self._engine))
        self._shipper.start()
        if champion_folder is not None:
            self._load(champion_folder)

    def keep(self, record: dict[str, Any]) -> None:
        """Keep the record of an exchange; it reaches the database in its own time."""
        if self._outbox is not None and self._shipper is not None:
            self._outbox.put(record)
            self._shipper.notify()

    def close(self) -> None:
        """Ship what the database takes now; the rest waits in the outbox's file for the next start."""
        if self._outbox is not None and self._shipper is not None and self._engine is not None:
            self._shipper.stop()
            self._outbox.close()
            self._engine.dispose()

    def _load(self, folder: Path) -> None:
        try:
            pricer = load(folder)
        except ArtefactError as error:
            logger.error("the champion cannot be loaded, so no price is quoted: %s", error)
            return
        self.champion = LoadedChampion(pricer, SimilarStones(pricer.stones))


def prepare() -> None:
    """Do once what all workers rely on: fix where things lie, and see to the tables of the traffic log.

    Workers of a Bento run in another folder than the one that the service was started in. A database that is away
    only delays the log.

    Raises:
        SchemaBehindError: The tables are behind and are not ours to migrate.
    """
    settings = read_settings()
    os.environ.update(settings.as_environment())
    engine = open_database(settings)
    try:
        require_current(engine)
    except SchemaBehindError:
        raise
    except (DatabaseError, DBAPIError) as error:
        logger.error("exchanges wait in the outbox: %s", error)
    finally:
        engine.dispose()


def _ship(engine: Engine, records: Sequence[dict[str, Any]]) -> None:
    traffic.record(
        engine,
        [record | {"received_at": datetime.fromisoformat(record["received_at"])} for record in records],
    )
