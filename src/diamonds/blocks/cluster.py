"""The workers of a Dask cluster: one of this machine's own for a run, or one that is there already."""

from __future__ import annotations

import logging
import math
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diamonds.blocks.engine import Engine
from diamonds.blocks.workers import Boosting, Space
from diamonds.config import read_settings
from diamonds.errors import ConfigurationError, WorkersError
from diamonds.memory import give_back

if TYPE_CHECKING:
    from distributed import Client, Future
    from xgboost import Booster

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
#: Seconds that a cluster has to answer at all.
PATIENCE = 15
#: How often trees are grown anew after the loss of a worker.
AGAIN = 2
#: Seconds in which workers neither come nor go until they are counted on, or the loss of one is seen by the scheduler.
SETTLED = 3


def hire(engine: Engine, space: Space) -> OnDask:
    """The cluster at `DIAMONDS_DASK_ADDRESS`, or one of this machine's own.

    Raises:
        ConfigurationError: Dask is not installed, or nobody listens there.
        WorkersError: The workers do not see the project's folder.
    """
    try:
        import distributed
    except ImportError as error:
        raise ConfigurationError("Dask is not installed: pip install 'diamonds[dask]'") from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is said below, in plain words
    address = read_settings().dask_address
    if address is None:
        cluster = _local_cluster(engine, space)
        return OnDask(distributed.Client(cluster), engine, space, cluster)
    try:
        client = distributed.Client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"DIAMONDS_DASK_ADDRESS is {address}, and no Dask scheduler answers there: start it, or unset the variable"
            " and a cluster is started on this machine"
        ) from error
    hired = OnDask(client, engine, space, None)
    try:
        hired.check()
    except BaseException:
        hired.close()
        raise
    return hired


def _local_cluster(engine: Engine, space: Space) -> Any:  # noqa: ANN401 - Dask's types are not followed
    """Processes of this machine, heard on loopback alone."""
    import dask
    from distributed import LocalCluster

    quiet = {"distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED": "critical"}
    with dask.config.set(quiet):
        return LocalCluster(
            host=LOOPBACK,
            n_workers=engine.workers,
            threads_per_worker=1,
            dashboard_address=f"{LOOPBACK}:0",
            local_directory=str(space.path),
        )


class OnDask:
    """Workers of a Dask cluster; data goes through files that all of them see, never through this process."""

    def __init__(self, client: Client, engine: Engine, space: Space, cluster: Any) -> None:  # noqa: ANN401 - untyped
        """Work by this client; a cluster that is given is closed at the end."""
        self._client, self._engine, self._space, self._cluster = client, engine, space, cluster

    def check(self) -> None:
        """Make sure that there are workers, and that they see the run's files.

        Raises:
            WorkersError: There are none, or they do not.
        """
        token = self._space.path / "seen"
        token.touch()
        seen = self._client.run(_sees, str(token))
        if not seen:
            raise WorkersError(f"the Dask cluster at {self._client.scheduler.address} has no workers: start some")
        if blind := sorted(worker for worker, sees in seen.items() if not sees):
            raise WorkersError(
                f"the Dask workers {', '.join(blind)} do not see {self._space.path}: the project's folder must lie"
                " at the same path on all machines, on a file system that they share"
            )

    def new_folder(self) -> Path:
        """An empty folder."""
        return self._space.new_folder()

    def each(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        """Side by side; what a lost worker has not finished is done by the others.

        Raises:
            WorkersError: Workers are lost again and again, or nothing is done within the deadline.
        """
        from distributed.protocol import pickle

        place = self.new_folder() / "function"
        place.write_bytes(pickle.dumps(function))
        futures = self._client.map(partial(_done_by, place), items, pure=False)
        try:
            with self._in_plain_words():
                for future in futures:
                    yield future.result(timeout=self._engine.deadline)
        finally:
            self._client.cancel(futures)

    def boosted(self, wanted: Boosting) -> Booster:
        """Each worker reads its share of the parts from its disk, and all agree on each split.

        After the loss of a worker of a local cluster anew, with those that come back; `AGAIN` times at most.

        Raises:
            WorkersError: Workers were lost again, or no tree was grown within the deadline.
        """
        for again in range(AGAIN + 1):
            try:
                return self._boosted(wanted)
            except _LostError as lost:
                if again == AGAIN or self._cluster is None:
                    raise WorkersError(
                        "XGBoost stopped, for a Dask worker was lost: see that the workers have memory enough, and run"
                        " again"
                    ) from lost
                logger.warning("XGBoost stopped, for a Dask worker was lost; its trees are grown anew")
                logger.info("what was seen of the loss: %r", lost.__cause__)
                with self._in_plain_words():
                    self._client.restart(timeout=self._engine.deadline)
                self._settle()
        raise AssertionError("unreachable")

    def _boosted(self, wanted: Boosting) -> Booster:
        pulse, workers = self.new_folder() / "pulse", self._addresses()[: len(wanted.parts)]
        host = LOOPBACK if self._cluster else _host_of(self._client.scheduler.address)
        meeting = self._client.run_on_scheduler(_meeting, len(workers), host)
        meeting["dmlc_timeout"] = 2 * math.ceil(self._engine.deadline)  # of a single word; our own deadline comes first
        shares = [wanted._replace(parts=wanted.parts[place :: len(workers)]) for place in range(len(workers))]
        jobs = [
            self._client.submit(_grow, share, meeting, pulse, workers=[worker], pure=False)
            for share, worker in zip(shares, workers, strict=True)
        ]
        try:
            self._wait(jobs, set(workers), pulse)
            return next(booster for booster in self._client.gather(jobs) if booster is not None)
        finally:
            self._client.cancel(jobs, force=True)

    def _wait(self, jobs: list[Future], workers: set[str], pulse: Path) -> None:
        """Until all jobs are done; XGBoost itself may wait for a dead worker for ever."""
        last_seen, last = None, time.monotonic()
        while not (all(job.done() for job in jobs) or any(job.status == "error" for job in jobs)):
            time.sleep(0.1)
            if not workers <= set(self._addresses()):
                raise _LostError
            seen = pulse.stat().st_mtime_ns if pulse.exists() else None
            if seen != last_seen:
                last_seen, last = seen, time.monotonic()
            if time.monotonic() - last > self._engine.deadline:
                raise WorkersError(
                    f"XGBoost has read no block and grown no tree on Dask for {self._engine.deadline:g} seconds, the"
                    " engine's deadline: a worker hangs, or engine.deadline is too short for so many stones"
                )
        errors = [job.exception() for job in jobs if job.status == "error"]
        if errors and (self._are_lost(workers) or any(map(_tells_of_a_loss, errors))):
            raise _LostError from errors[0]
        if errors:
            raise errors[0]

    def _are_lost(self, workers: set[str]) -> bool:
        """Whether one of the workers is gone; the scheduler may know of it later than XGBoost."""
        until = time.monotonic() + SETTLED
        while workers <= set(self._addresses()) and time.monotonic() < until:
            time.sleep(0.1)
        return not workers <= set(self._addresses())

    def _settle(self) -> None:
        """Wait until workers that begin anew are there to stay: one that was killed may be begun twice."""
        began = since = time.monotonic()
        known = self._addresses()
        while time.monotonic() - since < SETTLED and time.monotonic() - began < self._engine.deadline:
            time.sleep(0.1)
            if (found := self._addresses()) != known or not found:
                known, since = found, time.monotonic()

    def close(self) -> None:
        """Send the workers home, where they are ours; remove the files."""
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()
        self._space.close()

    def _addresses(self) -> list[str]:
        """Of all workers, in the order of their names."""
        found = self._client.scheduler_info(n_workers=-1)["workers"]
        return sorted(found, key=lambda address: str(found[address]["name"]))

    @contextmanager
    def _in_plain_words(self) -> Iterator[None]:
        from distributed import CancelledError, KilledWorker
        from distributed import TimeoutError as DaskTimeoutError

        try:
            yield
        except KilledWorker as error:
            raise WorkersError(
                "the same block has cost several Dask workers their lives: give them more memory, or make"
                f" engine.block_rows less than {self._engine.block_rows:,}"
            ) from error
        except DaskTimeoutError as error:
            raise WorkersError(
                f"Dask's workers have finished no block for {self._engine.deadline:g} seconds, the engine's deadline:"
                " they are gone or hang; see the cluster, and run again"
            ) from error
        except CancelledError as error:
            raise WorkersError("the Dask cluster is gone: see its scheduler, and run again") from error


class _LostError(Exception):
    """A worker is gone, and with it what XGBoost had grown."""


def _meeting(members: int, host: str) -> dict[str, Any]:
    """Begins what XGBoost's processes find each other by; gives what each has to know of it."""
    from xgboost.tracker import RabitTracker

    tracker = RabitTracker(members, host_ip=host)
    tracker.start()
    threading.Thread(target=_until_it_ends, args=(tracker,), daemon=True).start()
    return dict(tracker.worker_args())


def _until_it_ends(tracker: Any) -> None:  # noqa: ANN401 - XGBoost ships no types
    from xgboost.core import XGBoostError

    try:
        tracker.wait_for()
    except XGBoostError:
        logger.debug("a member of XGBoost's was lost", exc_info=True)  # who waits for its trees says so


def _done_by(place: Path, item: Any) -> Any:  # noqa: ANN401 - whatever the function takes and gives
    """What the function that lies here makes of the item."""
    return _function_at(place)(item)


@lru_cache(maxsize=1)
def _function_at(place: Path) -> Callable[[Any], Any]:
    """Read once for all items of a worker: it may hold a whole pricer. The one before it goes."""
    from distributed.protocol import pickle

    give_back()
    function: Callable[[Any], Any] = pickle.loads(place.read_bytes())
    return function


def _grow(wanted: Boosting, meeting: dict[str, Any], pulse: Path) -> Booster | None:
    """A worker's part in growing trees; one of all gives them back."""
    import xgboost
    from distributed import get_worker
    from xgboost import collective
    from xgboost.dask import CommunicatorContext

    from diamonds.blocks.external import Pulse, boosted

    worker = get_worker()
    params = wanted.params | {"nthread": worker.state.nthreads}
    with (
        tempfile.TemporaryDirectory(dir=worker.local_directory) as cache,
        xgboost.config_context(verbosity=0),
        CommunicatorContext(**meeting),
    ):
        booster = boosted(wanted._replace(params=params), Path(cache), Pulse(pulse))
        return booster if collective.get_rank() == 0 else None


def _host_of(address: str) -> str:
    return address.rpartition("//")[2].rpartition(":")[0]


def _sees(place: str) -> bool:
    return Path(place).exists()


def _tells_of_a_loss(error: BaseException) -> bool:
    """Whether XGBoost or Dask gave up because a worker no longer answered."""
    from distributed import CancelledError, KilledWorker
    from distributed.comm import CommClosedError
    from xgboost.core import XGBoostError

    return isinstance(error, (KilledWorker, CancelledError, CommClosedError, OSError)) or (
        isinstance(error, XGBoostError) and any(word in str(error) for word in ("socket", "ollective", "tracker"))
    )
