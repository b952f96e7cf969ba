"""Workers that are forked from one process, so that they share what it has loaded (docs/adr/0020)."""

from __future__ import annotations

import ctypes
import gc
import importlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from diamonds.memory import give_back

if TYPE_CHECKING:
    import socket

    import uvicorn

logger = logging.getLogger(__name__)

#: In seconds: a worker is begun anew no sooner than this after it was begun.
LEAST_SECONDS = 1.0
#: What the parent waits for.
WATCHED = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT}
#: Of Linux: what the kernel sends to a process whose parent has died (prctl(2)).
PR_SET_PDEATHSIG = 1
#: What BentoML imports only when it serves.
LATE = ("_bentoml_impl.client", "bentoml.container", "prometheus_client.multiprocess", "prometheus_client.parser")


def can_share() -> bool:
    """Whether processes can be forked safely here, and end with their parent."""
    return sys.platform == "linux"


def share(workers: int, load: Callable[[], None]) -> None:
    """Let the server that BentoML is about to run be so many processes, which answer at the same socket.

    Args:
        workers: How many.
        load: Loads what they share; when it is done, no thread may be left that it started.
    """
    import uvicorn

    run = uvicorn.Server.run

    def run_in_each(server: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
        _import_all(server.config)
        load()
        Workers(workers).fork()
        run(server, sockets)

    uvicorn.Server.run = run_in_each  # type: ignore[assignment, method-assign]  # nothing of ours is called between both


def _import_all(config: uvicorn.Config) -> None:
    """Import what each worker would import by itself as it begins to serve."""
    for name in LATE:
        importlib.import_module(name)
    config.load()
    config.get_loop_factory()


class Worker(NamedTuple):
    """Which of the workers a process is, and when it was begun."""

    place: int
    began: float


class Workers:
    """The processes that answer, and their parent, which only sees to them."""

    def __init__(self, number: int) -> None:
        """So many; none is begun yet."""
        self._parent = os.getpid()
        self._due = dict.fromkeys(range(1, number + 1), 0.0)  # when which is to be begun
        self._living: dict[int, Worker] = {}
        self._is_ending = False

    def fork(self) -> None:
        """Begin them: this returns in each worker, and ends the parent once none is left.

        A worker that died is begun anew; SIGTERM and SIGINT are passed on. What is loaded so far is shared until
        somebody writes to it, so that Python's collector is kept from it. Threads do not survive a fork, and what one
        of them held is held for ever: there must be none.

        Raises:
            SystemExit: In the parent, when all have ended as they were asked to, or begin anew together.
        """
        gc.disable()
        give_back()
        gc.freeze()
        signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        while self._due or self._living:
            for place in [place for place, moment in self._due.items() if moment <= time.monotonic()]:
                if self._begin(place):
                    return
            self._see_to(self._next_signal())
        sys.exit()

    def _begin(self, place: int) -> bool:
        """Fork a worker; answers whether this is it."""
        began = time.monotonic()
        try:
            process = os.fork()
        except OSError as error:  # too little memory, or too many processes
            logger.error("worker %d cannot be begun and is tried again: %s", place, error)
            self._due[place] = began + LEAST_SECONDS
            return False
        if not process:
            self._become(place)
            return True
        del self._due[place]
        self._living[process] = Worker(place, began)
        return False

    def _become(self, place: int) -> None:
        """Be a worker, that ends with its parent."""
        from bentoml._internal.context import server_context

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self._parent:
            os._exit(1)
        server_context.worker_index = place  # its log says so
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
        gc.enable()

    def _next_signal(self) -> int | None:
        """What comes next; None where a worker is to be begun first."""
        if not self._due:
            return signal.sigwait(WATCHED)
        came = signal.sigtimedwait(WATCHED, max(0, min(self._due.values()) - time.monotonic()))
        return came.si_signo if came else None

    def _see_to(self, number: int | None) -> None:
        if number == signal.SIGCHLD:
            self._bury()
        elif number is not None:
            self._end()

    def _bury(self) -> None:
        """See which workers have ended, and when they are to be begun anew."""
        while self._living:
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                return
            self._mourn(process, self._living.pop(process), os.waitstatus_to_exitcode(status))

    def _mourn(self, process: int, worker: Worker, code: int) -> None:
        """Say what became of a worker that was not asked to end, and what follows."""
        if self._is_ending:
            return
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with status {code}"
        if code == -signal.SIGBUS:  # a mapped file is cut: another fork would have the same
            logger.error("worker %d (%d) was ended %s: all begin anew", worker.place, process, how)
            self._end()
        else:
            logger.error("worker %d (%d) ended %s and is begun anew", worker.place, process, how)
            self._due[worker.place] = worker.began + LEAST_SECONDS

    def _end(self) -> None:
        """Ask all to end."""
        self._is_ending = True
        self._due.clear()
        for process in self._living:
            os.kill(process, signal.SIGTERM)
