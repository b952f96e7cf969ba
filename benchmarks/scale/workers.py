"""Two workers behind one port beside one: how many requests more they answer, each with its row in PostgreSQL.

Both services run all the time and are asked in turn, round by round; each worker has one processor, as a pod has. The
client and the database need a processor too: where they and the workers want more than there are, two workers cannot
be what they would be. So requests are asked that cost the service much and the others little, how busy each core was
is said beside each figure, and so is how many answers the workers gave for each second of processor that they took:
where two give as many as one, they are in each other's way for want of processors alone.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

import psutil

from benchmarks.scale.processors import Busy, watching
from benchmarks.scale.sizes import Sizes
from benchmarks.service import bodies
from benchmarks.service.load import Job, Outcome, load
from benchmarks.service.log import TrafficLog
from benchmarks.service.servers import Server, family
from benchmarks.traffic.findings import Findings
from benchmarks.traffic.sites import POSTGRESQL, Site, Sites
from diamonds.schema import FEATURES

CONNECTIONS, WARM_UP_SECONDS, START_SECONDS = 16, 1, 120
#: A connection is one worker's, so that after so many seconds another is opened, which whoever is idle takes.
RENEWED_AFTER = 0.25
#: How many times as many requests two workers answer at least, where there is a processor for each.
LEAST_GAIN = 1.7
#: With more of a core than this taken by the client, the database and others, there is none for the second worker.
MOST_ELSE = 0.3
BATCH = 100


@dataclass
class Rival:
    """A service with so many workers, and what it answered."""

    workers: int
    site: Site
    server: Server
    log: TrafficLog
    rounds: dict[str, list[tuple[Outcome, Busy]]] = field(default_factory=dict)

    def ask(self, path: str, texts: list[str], seconds: float) -> None:
        """Ask it for so long."""
        with watching(workers_of(self.server)) as busy:
            outcome = load(Job(self.server.port, path, texts, CONNECTIONS, WARM_UP_SECONDS, seconds, RENEWED_AFTER))
        self.log.answered += outcome.answered
        self.log.wait()  # or its rows are written while the next is measured
        self.rounds.setdefault(path, []).append((outcome, busy))

    def per_second(self, path: str) -> float:
        """Answers a second: the median of the rounds."""
        return median(outcome.requests / outcome.seconds for outcome, _ in self.rounds[path])

    def per_busy_second(self, path: str) -> float:
        """Answers for a second of a processor that the workers took: the median of the rounds."""
        return median(outcome.answered / (busy.theirs * busy.seconds) for outcome, busy in self.rounds[path])


def measure(sites: Sites, sizes: Sizes) -> Findings:
    """Ask services of one and of two workers in turn, and compare."""
    findings = Findings("workers")
    asked = requests()
    with serving(sites, 1) as one, serving(sites, 2) as two:
        for _ in range(sizes.rounds):
            for path, texts in asked.items():
                for rival in (one, two):
                    rival.ask(path, texts, sizes.seconds)
        for rival in (one, two):
            rival.log.wait()
    for path in asked:
        compare(findings, path, one, two)
    for rival in (one, two):
        check(findings, rival)
    return findings


def requests() -> dict[str, list[str]]:
    """What is asked, by path."""
    stones = bodies.default_stones()
    drawn = [stones.sample(BATCH, random_state=seed)[list(FEATURES)].to_dict("records") for seed in range(50)]
    many = [json.dumps(json.loads(query) | {"n": 100}) for query in bodies.queries(stones)]
    return {
        "/predict": bodies.four_cs(stones),
        "/similar": many,
        "/explain": bodies.measured(stones),
        "/predict/batch": list(map(json.dumps, drawn)),
    }


@contextmanager
def serving(sites: Sites, workers: int) -> Iterator[Rival]:
    """A service with so many workers, all of them ready."""
    site = sites.make(POSTGRESQL)
    with site.log() as log, site.serving(DIAMONDS_WORKERS=str(workers)) as server:
        deadline = time.monotonic() + START_SECONDS
        while len(list(site.outbox.glob("*.lock"))) < workers and time.monotonic() < deadline:
            time.sleep(0.1)
        rival = Rival(workers, site, server, log)
        for number, worker in enumerate(workers_of(server)):
            hold_to(number % (psutil.cpu_count() or 1), worker)
        yield rival


def workers_of(server: Server) -> list[psutil.Process]:
    """The processes that answer: those without children, for one that has some only sees to them."""
    return [each for each in with_parent(server) if not each.children()]


def with_parent(server: Server) -> list[psutil.Process]:
    """The processes that answer, and the one that they were forked from, if there are several."""
    return [each for each in family(server.process) if "_bentoml_impl.worker.service" in each.cmdline()]


def hold_to(core: int, process: psutil.Process) -> None:
    """Let all threads of a process run on this core alone."""
    for thread in process.threads():
        os.sched_setaffinity(thread.id, {core})


def compare(findings: Findings, path: str, one: Rival, two: Rival) -> None:
    """Say how many times as much two answered; the bar holds where the second has a core of its own."""
    gain = two.per_second(path) / one.per_second(path)
    missing = no_second_core(two, path)
    findings.add(f"{path}: two workers beside one", gain, "times", least=None if missing else LEAST_GAIN)
    findings.add(f"{path}: a second by one worker", one.per_second(path), "requests")
    thrift = two.per_busy_second(path) / one.per_busy_second(path)
    words = f"{path}: for a second of processor that workers take, two beside one"
    findings.add(words, thrift, "times", least=LEAST_GAIN / 2)
    for rival in (one, two):
        outcome, busy = rival.rounds[path][-1]
        findings.remarks.append(
            f"{path}, {rival.workers}: {busy}, {busy.theirs:.2f} of one by the workers,"
            f" {outcome.client_load:.2f} by the client, p99 {outcome.p99_ms:.0f} ms"
        )
    if missing:
        findings.remarks.append(f"{path}: no bar, for {missing}")


def no_second_core(two: Rival, path: str) -> str | None:
    """Why the second worker had no core to itself; None if it had."""
    others = median(sum(busy.cores) - busy.theirs for _, busy in two.rounds[path])
    if others > len(two.rounds[path][0][1].cores) - two.workers + MOST_ELSE:
        return f"{others:.2f} cores were taken by others than the workers"
    return None


def check(findings: Findings, rival: Rival) -> None:
    """Compare the log with what was answered, and the answers with 200."""
    rows = rival.log.rows()
    findings.add(f"rows of {rival.workers}, beside {rival.log.answered:,} answers", rows, "rows")
    who = f"{rival.workers} workers"
    if rows != rival.log.answered:
        findings.blame(who, [f"{rival.log.answered:,} were answered, and traffic has {rows:,} rows"])
    for path, rounds in rival.rounds.items():
        findings.blame(who, {f"{path}: {outcome.refusal}" for outcome, _ in rounds if set(outcome.statuses) != {"200"}})
