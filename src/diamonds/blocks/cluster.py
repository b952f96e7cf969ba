"""The workers of a Dask cluster: one of this machine's own for a run, or one that is there already."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diamonds.blocks.engine import Engine
from diamonds.blocks.workers import Boosting, Space
from diamonds.config import read_settings
from diamonds.errors import ConfigurationError, WorkersError

if TYPE_CHECKING:
    from distributed import Client
    from xgboost import Booster

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
#: Seconds that a cluster has to answer at all.
PATIENCE = 15
#: Seconds after the loss of a worker in which XGBoost may notice it itself.
GRACE = 5
#: How often trees are grown anew after the loss of a worker.
AGAIN = 1


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
        futures = self._client.map(function, items, pure=False)
        try:
            with self._in_plain_words():
                for future in futures:
                    yield future.result(timeout=self._engine.deadline)
        finally:
            self._client.cancel(futures)

    def boosted(self, wanted: Boosting) -> Booster:
        """By `xgboost.dask`; after the loss of a worker once more, with those that are left or come back.

        Raises:
            WorkersError: Workers were lost again, or no tree was grown within the deadline.
        """
        for again in range(AGAIN + 1):
            try:
                return self._boosted(wanted)
            except _LostError as lost:
                if again == AGAIN or self._cluster is None:
                    raise WorkersError(
                        f"XGBoost stopped, for {lost}: see that the workers have memory enough, and run again"
                    ) from lost
                logger.warning("XGBoost stopped, for %s; its trees are grown anew", lost)
                self._client.restart(timeout=self._engine.deadline)
        raise AssertionError("unreachable")

    def _boosted(self, wanted: Boosting) -> Booster:
        pulse = self.new_folder() / "pulse"
        training = _Training(self._client, wanted, pulse, LOOPBACK if self._cluster else None)
        before = set(self._addresses())
        training.start()
        began = time.monotonic()
        while not training.done.wait(0.2):
            if before - set(self._addresses()):
                training.done.wait(GRACE)
                raise _LostError("a Dask worker was lost")
            last = max(began, pulse.stat().st_mtime - time.time() + time.monotonic() if pulse.exists() else began)
            if time.monotonic() - last > self._engine.deadline:
                raise WorkersError(
                    f"XGBoost has grown no tree on Dask for {self._engine.deadline:g} seconds, the engine's deadline:"
                    " a worker hangs, or engine.deadline is too short for so many stones"
                )
        if training.error is None:
            return training.booster
        if before - set(self._addresses()) or _tells_of_a_loss(training.error):
            raise _LostError("a Dask worker was lost") from training.error
        raise training.error

    def close(self) -> None:
        """Send the workers home, where they are ours; remove the files."""
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()
        self._space.close()

    def _addresses(self) -> list[str]:
        return list(self._client.scheduler_info(n_workers=-1)["workers"])

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
    """A worker is gone, and what XGBoost had grown with it."""


class _Training(threading.Thread):
    """One call of `xgboost.dask.train`, which may never come back: so it is waited for, and left alone."""

    def __init__(self, client: Client, wanted: Boosting, pulse: Path, host: str | None) -> None:
        super().__init__(daemon=True, name="xgboost.dask")
        self._client, self._wanted, self._pulse, self._host = client, wanted, pulse, host
        self.done = threading.Event()
        self.error: BaseException | None = None
        self.booster: Any = None

    def run(self) -> None:
        """Train, and keep what comes out."""
        try:
            self.booster = self._train()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            self.error = error
        finally:
            self.done.set()

    def _train(self) -> Booster:
        from dask import delayed
        from dask.array import concatenate, from_delayed
        from distributed import wait
        from xgboost import dask as xgboost_dask
        from xgboost.collective import Config

        params, rounds, columns, parts = self._wanted
        read = [(part.rows, delayed(columns, nout=2)(part)) for part in parts]
        width = columns(parts[0])[0].shape[1]
        known = concatenate([from_delayed(data, (rows, width), dtype="float32") for rows, (data, _) in read])
        labels = concatenate([from_delayed(label, (rows,), dtype="float64") for rows, (_, label) in read])
        known, labels = self._client.persist([known, labels])  # lest their partitions differ
        wait([known, labels])
        binned = xgboost_dask.DaskQuantileDMatrix(self._client, known, labels)
        params = {name: value for name, value in params.items() if name != "nthread"}  # as many as a worker has
        params["verbosity"] = 0
        found = xgboost_dask.train(
            self._client,
            params,
            binned,
            num_boost_round=rounds,
            callbacks=[_pulse(self._pulse)],
            coll_cfg=Config(tracker_host_ip=self._host),
        )
        return found["booster"]


def _pulse(place: Path) -> Any:  # noqa: ANN401 - XGBoost ships no types
    from xgboost.callback import TrainingCallback

    class Pulse(TrainingCallback):  # type: ignore[misc] # it ships no types
        """Leaves a sign of life after each tree."""

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ANN401, ARG002 - XGBoost's
            place.touch()
            return False

    return Pulse()


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
