"""Part `throughput`: a million rows over HTTP, how quickly and in how much memory; and what pages in flight give."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess

import psutil

from benchmarks.service.servers import ROOT
from benchmarks.streaming.feeding import running_feed
from benchmarks.streaming.learning import Task, start
from benchmarks.traffic.findings import Findings
from diamonds.config import Settings
from diamonds.store.database import open_database, require_current
from diamonds.streams.memory.memory import Memory
from diamonds.streams.spec import FeedSpec, feed

ROWS, QUICK_ROWS = 1_000_000, 100_000
#: Memory is compared with what it is after this share of the rows.
WARM_SHARE = 0.1
PAGES_A_BATCH, IN_FLIGHT = 50, 8
LATENCY_MS, AFAR_PAGES_A_BATCH, PAGES, QUICK_PAGES = 20, 10, 600, 200
WATCH_SECONDS = 1.0


def measure(*, quick: bool) -> Findings:
    """Learn many rows as quickly as it goes, then a few from a feed that takes its time."""
    findings = Findings("throughput")
    spec = feed(ROOT, "promotions")
    with tempfile.TemporaryDirectory() as folder:
        learn_many(spec, f"sqlite:///{folder}/many.db", QUICK_ROWS if quick else ROWS, findings)
        learn_from_afar(spec, f"sqlite:///{folder}/afar", QUICK_PAGES if quick else PAGES, findings)
    return findings


def learn_many(spec: FeedSpec, database: str, rows: int, findings: Findings) -> None:
    """Learn all rows with 50 pages a commit; the feed is a process of its own."""
    with running_feed(f"--rows={rows}") as url:
        learned = _learn(Task(spec, url, database, rows, PAGES_A_BATCH, IN_FLIGHT))
    warm = [mib for there, mib in learned.memory if there >= WARM_SHARE * rows]
    findings.add(f"{rows:,} rows over HTTP, {PAGES_A_BATCH} pages a commit", learned.rate, "rows/s", least=5_000)
    findings.add(f"memory after {WARM_SHARE:.0%} of them", warm[0], "MiB")
    findings.add("the most after that", max(warm), "MiB", most=1.1 * warm[0])
    findings.add("entries of the history", learned.entries, "entries", most=2_000)
    findings.blame("all rows", [] if learned.rows == rows else [f"{learned.rows:,} learned instead of {rows:,}"])


def learn_from_afar(spec: FeedSpec, database: str, pages: int, findings: Findings) -> None:
    """Learn the same pages, one asked for at a time and eight."""
    rates = {}
    for in_flight in (1, 8):
        with running_feed(f"--rows={10 * pages}", f"--latency={LATENCY_MS}") as url:
            task = Task(spec, url, f"{database}_{in_flight}.db", 10 * pages, AFAR_PAGES_A_BATCH, in_flight)
            rates[in_flight] = _learn(task).rate / spec.page_size
        findings.add(f"{LATENCY_MS} ms latency, {in_flight} in flight", rates[in_flight], "pages/s")
    findings.add("8 in flight beside 1", rates[8] / rates[1], "times", least=5)


@dataclass(frozen=True)
class Learned:
    """What a learner came to.

    Attributes:
        rows: How many it learned.
        rate: How many a second, from its first batch to its last.
        entries: How many the history has.
        memory: How much it held, in MiB, after so many rows.
    """

    rows: int
    rate: float
    entries: int
    memory: list[tuple[int, float]]


def _learn(task: Task) -> Learned:
    engine = open_database(Settings(database_url=task.database), durable=True)
    try:
        require_current(engine)
        memory = Memory(engine, task.spec)
        process = start(task)
        held = list(_watch(memory, process))
        if process.exitcode != 0:
            raise RuntimeError(f"the learner ended with status {process.exitcode}")
        history = memory.history()
        first, last = history[0], history[-1]
        seconds = (last["at"] - first["at"]).total_seconds()
        return Learned(last["rows"], (last["rows"] - first["rows"]) / seconds, len(history), held)
    finally:
        engine.dispose()


def _watch(memory: Memory, process: ForkServerProcess) -> Iterator[tuple[int, float]]:
    """The rows and the memory of a process, again and again until it has ended."""
    seen = psutil.Process(process.pid)
    while process.exitcode is None:
        with suppress(psutil.NoSuchProcess):
            rows, held = memory.look().rows, seen.memory_info().rss / 2**20
            print(f"{rows:,} rows, {held:,.0f} MiB", file=sys.stderr)
            yield rows, held
        process.join(WATCH_SECONDS)
