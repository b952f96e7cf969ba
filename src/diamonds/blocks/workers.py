"""Who works on blocks: this process alone, or the workers of a Dask cluster; one of them for a run."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from diamonds.blocks.engine import Engine

if TYPE_CHECKING:
    from xgboost import Booster

    from diamonds.blocks.table import Part

PREFIX = ".blocks"


class Boosting(NamedTuple):
    """Trees that are to be grown.

    Attributes:
        params: XGBoost's own.
        rounds: How many trees.
        columns: What the trees see of a part, and what they are to say of it.
        parts: What they are grown over.
    """

    params: dict[str, Any]
    rounds: int
    columns: Callable[[Part], tuple[NDArray[np.float32], NDArray[np.float64]]]
    parts: Sequence[Part]


class Workers(Protocol):
    """What does something to each block."""

    def new_folder(self) -> Path:
        """An empty folder, gone after the run, that all workers can write to."""

    def each(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        """What the function makes of each item, in their order."""

    def boosted(self, wanted: Boosting) -> Booster:
        """XGBoost's trees, grown over all rows."""

    def close(self) -> None:
        """Leave nothing behind, neither processes nor files."""


class Space:
    """Disk space of a run, below a folder that all workers see."""

    def __init__(self, below: Path | None) -> None:
        """Take a folder of our own there, or where temporary files go."""
        if below is None:
            self.path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}-"))
            return
        below.mkdir(parents=True, exist_ok=True)
        _clear(below)
        self.path = below.absolute() / f"{PREFIX}-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex}"
        self.path.mkdir()

    def new_folder(self) -> Path:
        """An empty folder."""
        folder = self.path / uuid.uuid4().hex
        folder.mkdir()
        return folder

    def close(self) -> None:
        """Remove all."""
        shutil.rmtree(self.path, ignore_errors=True)


class Here:
    """This process, which takes block after block; XGBoost reads them anew for each tree (`ExtMemQuantileDMatrix`)."""

    def __init__(self, space: Space) -> None:
        """Work in this space."""
        self._space = space

    def new_folder(self) -> Path:
        """An empty folder."""
        return self._space.new_folder()

    def each(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        """One after the other."""
        return map(function, items)

    def boosted(self, wanted: Boosting) -> Booster:
        """From the disk."""
        from diamonds.blocks.external import Pulse, boosted

        cache = self.new_folder()
        return boosted(wanted, cache, Pulse(cache / "pulse"))

    def close(self) -> None:
        """Remove the files."""
        self._space.close()


class _Run:
    """What the present run works with; its workers come when they are first needed."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.below: Path | None = None
        self.workers: Workers | None = None
        self._hiring = threading.Lock()  # nodes may run in threads

    def __call__(self) -> Workers:
        with self._hiring:
            if self.workers is None:
                self.workers = self._hired()
            return self.workers

    def _hired(self) -> Workers:
        space = Space(self.below)
        if self.engine.kind != "dask":
            return Here(space)
        try:
            from diamonds.blocks.cluster import hire

            return hire(self.engine, space)
        except BaseException:
            space.close()
            raise


_run = _Run()


def begin(engine: Engine, below: Path | None = None) -> None:
    """Say what the work of this process's run is done with, and below which folder its blocks lie meanwhile."""
    end()
    _run.engine, _run.below = engine, below


def current() -> Workers:
    """The workers of the run; Dask's cluster begins or is connected to by the first call.

    Raises:
        ConfigurationError: Dask is not installed, or there is no cluster at `DIAMONDS_DASK_ADDRESS`.
        WorkersError: The cluster cannot do the work.
    """
    return _run()


@atexit.register
def end() -> None:
    """Close what the run works with; Ctrl-C ends the process, and so comes here too."""
    workers, _run.workers = _run.workers, None
    if workers is not None:
        workers.close()
    _run.engine, _run.below = Engine(), None


def _clear(below: Path) -> None:
    """Remove what killed runs of this machine left."""
    for left in below.glob(f"{PREFIX}-{socket.gethostname()}-*"):
        if not _lives(left.name.rsplit("-", 2)[1]):
            shutil.rmtree(left, ignore_errors=True)


def _lives(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
