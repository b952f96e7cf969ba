"""Part `pages`: what open pages cost the learner, and how soon it ends while they are open."""

import json
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.service.servers import ROOT, end, neutral_environment
from benchmarks.streaming.feeding import COMMAND, running_feed
from benchmarks.traffic.findings import Findings

VIEWERS, OPEN_AT_THE_END = 100, 5
#: How long each rate is measured, and how often, with viewers and without by turns.
SECONDS, QUICK_SECONDS, ROUNDS, QUICK_ROUNDS = 15.0, 6.0, 5, 2
#: How long a learner or its viewers begin.
WARM_SECONDS = 3.0
END_SECONDS = 20.0


@dataclass(frozen=True)
class Pace:
    """How quickly the learner learned: rows a second, and seconds of processor for a thousand rows."""

    rate: float
    cpu_seconds: float


def measure(*, quick: bool) -> Findings:
    """Measure the rate without and with viewers by turns, then end it with pages open."""
    findings = Findings("pages")
    seconds, rounds = (QUICK_SECONDS, QUICK_ROUNDS) if quick else (SECONDS, ROUNDS)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_feed("--rows=1000000000") as feed_url,
        running_stream(Path(folder), feed_url) as (process, url),
    ):
        time.sleep(WARM_SECONDS)
        alone, watched, heard = [], [], []
        for _ in range(rounds):
            alone.append(pace(process, Path(folder), seconds))
            viewers = watching(url, VIEWERS, seconds + WARM_SECONDS + 1)
            time.sleep(WARM_SECONDS)
            watched.append(pace(process, Path(folder), seconds))
            heard.append(json.loads(viewers.communicate()[0]))
        say(findings, alone, watched)
        say_heard(findings, heard, seconds + WARM_SECONDS + 1)
        end_with_open_pages(findings, process, url)
    return findings


@contextmanager
def running_stream(folder: Path, feed_url: str) -> Iterator[tuple[psutil.Popen, str]]:
    """`diamonds stream promotions` in a folder of its own: its process, and the address of its page.

    Raises:
        RuntimeError: It did not start.
    """
    (folder / "conf").symlink_to(ROOT / "conf")
    options = [f"--url={feed_url}", "--port=0", "--pages-a-batch=50"]
    process = psutil.Popen(
        [sys.executable, "-c", COMMAND, "stream", "promotions", *options],
        cwd=folder,
        env=neutral_environment() | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for us, who end it in order
    )
    try:
        said = process.stdout.readline()
        if " is shown at " not in said:
            raise RuntimeError(f"the stream did not start: {said}")
        yield process, said.split(" is shown at ")[1].strip()
    finally:
        end(process)
        process.stdout.close()


def watching(url: str, viewers: int, seconds: float) -> subprocess.Popen[str]:
    """Viewers in a process of their own."""
    command = [sys.executable, "-m", "benchmarks.streaming.viewers", url, str(viewers), str(seconds)]
    return subprocess.Popen(command, cwd=ROOT, env=neutral_environment(), stdout=subprocess.PIPE, text=True)


def pace(process: psutil.Popen, folder: Path, seconds: float) -> Pace:
    """How quickly it learns, by what is committed."""
    begun, rows, cpu = time.monotonic(), committed(folder), sum(process.cpu_times()[:2])
    time.sleep(seconds)
    learned = committed(folder) - rows
    took, used = time.monotonic() - begun, sum(process.cpu_times()[:2]) - cpu
    return Pace(learned / took, 1000 * used / max(learned, 1))


def committed(folder: Path) -> int:
    """How many rows the checkpoint says."""
    with closing(sqlite3.connect(folder / "data/diamonds.db", timeout=30)) as database:
        return int(database.execute("SELECT rows FROM stream_checkpoint").fetchone()[0])


def say(findings: Findings, alone: list[Pace], watched: list[Pace]) -> None:
    """Put the rates beside each other."""
    rates = [statistics.median(each.rate for each in paces) for paces in (alone, watched)]
    findings.add("learned while nobody looks", rates[0], "rows/s")
    findings.add(f"learned while {VIEWERS} pages look", rates[1], "rows/s")
    findings.add("that beside nobody looking", rates[1] / rates[0], "times", least=0.8)
    for what, paces in (("nobody looks", alone), (f"{VIEWERS} pages look", watched)):
        findings.add(f"processor for 1,000 rows, {what}", statistics.median(each.cpu_seconds for each in paces), "s")


def say_heard(findings: Findings, heard: list[dict[str, int]], seconds: float) -> None:
    """Say what the viewers were told, and blame who was not."""
    events = sum(each["events"] for each in heard)
    findings.add("events for each page", events / len(heard) / VIEWERS / seconds, "a second", most=5)
    findings.add("size of an event", sum(each["bytes"] for each in heard) / max(events, 1) / 1024, "KiB")
    findings.blame("viewers", [f"{each['failed']} connections failed" for each in heard if each["failed"]])
    findings.blame("viewers", ["they heard of nothing"] if events < VIEWERS * len(heard) else [])


def end_with_open_pages(findings: Findings, process: psutil.Popen, url: str) -> None:
    """End it by SIGTERM while pages are open."""
    viewers = watching(url, OPEN_AT_THE_END, END_SECONDS)
    time.sleep(WARM_SECONDS)
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    status = process.wait(END_SECONDS * 2)
    took = time.monotonic() - begun
    viewers.kill()
    viewers.communicate()
    findings.add(f"SIGTERM with {OPEN_AT_THE_END} open pages to its end", took, "s", most=END_SECONDS)
    findings.blame("the learner", [f"ended with status {status}"] if status else [])
