"""The feed that is learned from: `diamonds feed promotions`, in a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from benchmarks.service.servers import ROOT, end, neutral_environment

COMMAND = "from diamonds.cli import cli; cli()"


@contextmanager
def running_feed(*options: str) -> Iterator[str]:
    """Serve employees for as long as they are needed; answers the address.

    Raises:
        RuntimeError: It did not start.
    """
    process = psutil.Popen(
        [sys.executable, "-c", COMMAND, "feed", "promotions", "--port=0", *options],
        cwd=ROOT,
        env=neutral_environment() | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for us, who end it in order
    )
    try:
        said = process.stdout.readline()
        if " is served at " not in said:
            raise RuntimeError(f"the feed did not start: {said}")
        yield said.split(" is served at ")[1].split("/api/")[0]
    finally:
        end(process)
        process.stdout.close()
