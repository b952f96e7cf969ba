"""Servers that run for as long as they are measured."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil  # BentoML needs it, so it is there

ROOT = Path(__file__).parents[2]

#: An index of 5 million stones takes its time.
START_SECONDS, END_SECONDS = 300, 30
#: What is still there after its parent ended, and this, does not end by itself.
GRACE_SECONDS = 0.5


@dataclass(frozen=True)
class Server:
    """A running server, by its first process and its port."""

    process: psutil.Process
    port: int

    @property
    def peak_mib(self) -> float:
        """The most memory that its largest process, which is its only worker, ever had, in MiB."""
        return max(map(_peak_mib, family(self.process)))


@contextmanager
def running(command: list[str], folder: Path, port: int | None = None, **environment: str) -> Iterator[Server]:
    """Start a command in a folder, wait until it is ready, and end it and all that it started in any case.

    Args:
        command: What to run; `{port}` in it becomes the port.
        folder: Where; what the command says goes to `server.log` there.
        port: To serve at; a free one if none is given.
        environment: Variables beside those of this process that are not the project's own.

    Raises:
        RuntimeError: It ended, or was not ready in time; the message has what it said.
    """
    port = port or free_port()
    words = [word.format(port=port) for word in command]
    log = folder / "server.log"
    with log.open("wb") as output:
        process = psutil.Popen(
            [sys.executable, *words],
            cwd=folder,
            env=neutral_environment() | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for us, who end it in order
        )
    try:
        _wait_until_ready(process, port, log)
        yield Server(process, port)
    finally:
        end(process)


def bentoml_serve(service: str = "") -> list[str]:
    """The command `bentoml serve` at a free port, all else as BentoML has it."""
    return ["-m", "bentoml", "serve", *([service] if service else []), "--host", "127.0.0.1", "--port", "{port}"]


def running_diamonds(
    folder: Path, service: str = "", port: int | None = None, **environment: str
) -> AbstractContextManager[Server]:
    """The service, its memory and its outbox in this folder, and the champion of the Bento store there.

    Args:
        folder: Where it runs.
        service: Another module of the same service, if any; see `bentoml_serve`.
        port: To serve at; a free one if none is given.
        environment: Variables that say otherwise.
    """
    shutil.copy(ROOT / "bentofile.yaml", folder)
    return running(bentoml_serve(service), folder, port, **({"BENTOML_HOME": str(folder)} | environment))


def neutral_environment() -> dict[str, str]:
    """The variables of this process without those that set up a project."""
    foreign = ("DIAMONDS_", "BENTOML_", "KEDRO_", "MLFLOW_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    return kept | {"BENTOML_DO_NOT_TRACK": "True"}


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def family(process: psutil.Process) -> list[psutil.Process]:
    """The process and all below it that live."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def is_ready(port: int) -> bool:
    """Whether what listens at this port is ready to answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def end(process: psutil.Process) -> None:
    """Ask a process to end, and kill what is left of it and of all that it started."""
    started = family(process)
    if started:
        process.terminate()
    psutil.wait_procs(started[:1], timeout=END_SECONDS)
    _, left = psutil.wait_procs(started, timeout=GRACE_SECONDS)
    for each in left:
        each.kill()
    psutil.wait_procs(left, timeout=END_SECONDS)


def end_in_order_on_signals() -> None:
    """Let the first Ctrl-C or SIGTERM end everything that was started, and the next ones not disturb that."""

    def stop(*_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def _wait_until_ready(process: psutil.Popen, port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_ready(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"a server did not start: {' '.join(process.args)}\n{log.read_text()}")
        time.sleep(0.1)


def _peak_mib(process: psutil.Process) -> float:
    """The kernel's high-water mark where it keeps one, else the memory now."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        return float(process.memory_info().rss) / 2**20
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
