"""How busy the processors of this machine are, and by whom."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil


@dataclass
class Busy:
    """What was measured between two moments.

    Attributes:
        seconds: That lie between them.
        cores: The share of that time in which each core worked, whoever had it work.
        theirs: How many cores the processes that were watched took.
    """

    seconds: float = 0.0
    cores: list[float] = field(default_factory=list)
    theirs: float = 0.0

    def __str__(self) -> str:
        """As it is shown."""
        return f"cores {' and '.join(f'{share:.0%}' for share in self.cores)} busy"


@contextmanager
def watching(processes: Iterable[psutil.Process]) -> Iterator[Busy]:
    """Fill what is yielded when the block ends."""
    watched, busy = list(processes), Busy()
    began, before, theirs = time.monotonic(), psutil.cpu_times(percpu=True), sum(map(_spent, watched))
    yield busy
    busy.seconds = time.monotonic() - began
    after = psutil.cpu_times(percpu=True)
    busy.cores = [_share(*pair) for pair in zip(before, after, strict=True)]
    busy.theirs = (sum(map(_spent, watched)) - theirs) / busy.seconds


def _share(before: tuple[float, ...], after: tuple[float, ...]) -> float:
    """The share of the time in which a core did not wait."""
    passed = sum(after) - sum(before)
    idle = sum(getattr(after, name, 0.0) - getattr(before, name, 0.0) for name in ("idle", "iowait"))
    return 1 - idle / passed if passed else 0.0


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
