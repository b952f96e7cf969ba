"""What one worker of the service holds while it runs: the champion, and the way to the traffic log."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from diamonds.config import read_settings
from diamonds.errors import ConfigurationError, DatabaseError, SchemaBehindError
from diamonds.schema import Diamond
from diamonds.service.champion import Champions, LoadedChampion
from diamonds.service.market import MarketWatch
from diamonds.service.messages import Price
from diamonds.service.metrics import ServiceMetrics
from diamonds.service.problems import RefusedError
from diamonds.store import streams, traffic
from diamonds.store.database import open_database, require_current
from diamonds.store.notice import Notice
from diamonds.store.outbox import MIB, Outbox, Report
from diamonds.store.shipper import Shipper

logger = logging.getLogger(__name__)

#: Where `diamonds stream` shows what it learns.
STREAM = "http://127.0.0.1:3001"
#: In seconds: how long a thread that computes may keep a quick answer waiting.
SWITCH_SECONDS = 0.0005
#: How many objects are made before Python looks for cycles among the young ones, and so on (`gc.set_threshold`).
GC_THRESHOLDS = (20_000, 50, 100)


class Serving:
    """The champion and the outbox of this worker; empty until it is opened.

    Attributes:
        threads: Where answers are computed that take longer than others should wait.
        waiting: Where answers wait for the database, so that neither the champion nor metrics wait behind them.
        reading: Where what is read waits for the database, so that neither sales nor the log wait behind it.
        admin_token: What lets callers change anything, or see logged bodies.
        masked: Names of body fields that the traffic log does not keep.
        market: How far the market has moved, where that is followed.
    """

    def __init__(self) -> None:
        """Hold nothing yet."""
        self.threads = ThreadPoolExecutor(2, thread_name_prefix="answers")
        self.waiting = ThreadPoolExecutor(4, thread_name_prefix="database")
        self.reading = ThreadPoolExecutor(2, thread_name_prefix="reading")
        self.admin_token: SecretStr | None = None
        self.masked: frozenset[str] = frozenset()
        self.market: MarketWatch | None = None
        self._stream_url: str | None = None
        self._champions: Champions | None = None
        self._metrics: ServiceMetrics | None = None
        self._outbox: Outbox | None = None
        self._unkept = Notice(logger, "%(times)d exchanges could not be kept: %(why)s")
        self._shipper: Shipper | None = None
        self._engine: Engine | None = None
        self._following: list[asyncio.Task[None]] = []

    @property
    def champion(self) -> LoadedChampion | None:
        """The champion, once there is one."""
        return self._champions.present if self._champions else None

    @property
    def engine(self) -> Engine:
        """The database."""
        if self._engine is None:
            raise RuntimeError("the service is not open")
        return self._engine

    @property
    def outbox_folder(self) -> Path:
        """Where exchanges wait for the database."""
        if self._outbox is None:
            raise RuntimeError("the service is not open")
        return self._outbox.folder

    def load(self, store: Path) -> None:
        """Take the champion that the model store names, for all workers that are forked from this process.

        What OpenMP keeps of the thread that loads it would not survive that, so it is a thread that ends. The driver of
        the database is imported, and no connection opened, which can only be one process's.

        Args:
            store: The folder of the champion's entries.
        """
        log_to_stderr()
        open_database(read_settings()).dispose()
        self._champions = Champions(store, self._tell)
        with ThreadPoolExecutor(1) as once:
            once.submit(self._champions.take).result()

    def open(self, store: Path, routes: Collection[str]) -> None:
        """Take the champion that the model store names and follow it from now on; open the outbox.

        Args:
            store: The folder of the champion's entries.
            routes: Those that metrics tell apart.
        """
        log_to_stderr()
        settings = read_settings()
        self.admin_token = settings.admin_token
        self.masked = settings.masked_fields
        self._stream_url = settings.stream_url
        self._metrics = ServiceMetrics(routes)
        self._engine = open_database(settings)
        self._outbox = Outbox(settings.outbox, settings.outbox_mib * MIB)
        self._shipper = Shipper(self._outbox, partial(traffic.record, self._engine), self._tell_outbox)
        self._shipper.start()
        if self._champions is None:
            self._champions = Champions(store, self._tell)
        self._champions.take()
        self._tell(self._champions)
        if self.champion is None:
            logger.error("no price is quoted: %s", self._champions.problem)
        self._following.append(asyncio.create_task(self._champions.follow()))
        if settings.market_index is not None:
            self.market = MarketWatch(settings.market_index, partial(streams.market_index, self._engine))
            self._following.append(asyncio.create_task(self.market.follow(self.reading)))
        self._settle()

    def close(self) -> None:
        """Ship what the database takes now; the rest waits in the outbox's file for the next start."""
        for task in self._following:
            task.cancel()
        self.threads.shutdown(cancel_futures=True)
        self.waiting.shutdown(wait=False, cancel_futures=True)
        self.reading.shutdown(wait=False, cancel_futures=True)
        if self._outbox is not None and self._shipper is not None and self._engine is not None:
            self._shipper.stop()
            self._outbox.close()
            self._engine.dispose()

    def require_champion(self) -> LoadedChampion:
        """The champion that answers.

        Raises:
            RefusedError: There is none; the error says why.
        """
        if self.champion is None:
            raise RefusedError(503, title=self.readiness())
        return self.champion

    def stream_url(self, host: str | None) -> str | None:
        """Where pages lead to what learns from streams, for who called this service by that name; None if nowhere.

        What nobody says otherwise is on the machine itself.
        """
        return self._stream_url or (STREAM if host in {"127.0.0.1", "localhost", "::1"} else None)

    def readiness(self) -> str:
        """Whether prices are quoted, in plain words."""
        if self.champion is not None:
            return f"{self.champion.pricer.name} {self.champion.pricer.version} serves"
        if self._champions is not None and self._champions.refused:
            return "The champion in the model store was refused: the log of the service says why"
        return "No champion is loaded yet: train one with `kedro run`"

    def keep(self, record: str) -> None:
        """Keep the record of an exchange, a JSON object; it reaches the database in its own time.

        Raises:
            OSError: It cannot be kept.
        """
        if self._outbox is not None and self._shipper is not None:
            self._outbox.put(record)
            self._shipper.notify()

    def count(self, path: str, status: int, seconds: float, model: str | None, prices: int) -> None:
        """Count a request that was answered, and the prices in its answer."""
        if self._metrics is not None:
            self._metrics.answered(path, status, seconds, model, prices)

    def settle_counts(self) -> None:
        """See that Prometheus knows all that was counted."""
        if self._metrics is not None:
            self._metrics.settle()

    def count_unkept(self, why: OSError) -> None:
        """Count an exchange whose record could not be kept, and say so once a minute."""
        self._unkept.happened(why)
        if self._metrics is not None:
            self._metrics.unkept()

    def _tell(self, champions: Champions) -> None:
        if self._metrics is not None:
            present = champions.present
            serving = (present.pricer.name, present.pricer.version) if present else None
            self._metrics.champion(serving, refused=champions.refused)

    def _tell_outbox(self, report: Report) -> None:
        self._unkept.say()
        if self._metrics is not None:
            self._metrics.outbox(report)

    def _settle(self) -> None:
        """Keep Python from walking what stays for good, again and again, and threads from holding quick answers up."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        sys.setswitchinterval(SWITCH_SECONDS)


def log_to_stderr() -> None:
    """Say what is to be said where people look for it; BentoML's own lines go to standard output."""
    ours = logging.getLogger("diamonds")
    if ours.handlers:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s [%(levelname)s] [%(name)s] %(message)s", "%Y-%m-%dT%H:%M:%S%z"))
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    ours.propagate = False


def prepare() -> None:
    """Do once what all workers rely on: fix where things lie, and see to the tables of the traffic log.

    Workers of a Bento run in another folder than the one that the service was started in. A database that is away
    only delays the log.

    Raises:
        ConfigurationError: A field is to be masked that the service itself reads in the log.
        SchemaBehindError: The tables are behind and are not ours to migrate.
    """
    log_to_stderr()
    settings = read_settings()
    if needed := sorted(settings.masked_fields & {*Diamond.model_fields, *Price.model_fields, "quote", "quotes"}):
        raise ConfigurationError(f"DIAMONDS_MASKED_FIELDS names {', '.join(needed)}: sales are looked up by that")
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
