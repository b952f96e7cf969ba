"""Part `cost`: what the log takes of the throughput, with it on and off in turn."""

import shutil
from pathlib import Path
from statistics import median

from benchmarks.service.bodies import default_stones, four_cs
from benchmarks.service.load import Job, load
from benchmarks.service.log import TrafficLog
from benchmarks.service.report import Measurement, p99, rates
from benchmarks.service.servers import Server
from benchmarks.traffic.findings import Findings
from benchmarks.traffic.sites import Site, Sites
from benchmarks.traffic.sizes import Sizes

ONE, MANY = 1, 16
WARM_UP_SECONDS = 1
UNLOGGED = Path(__file__).with_name("unlogged.py")
#: Of the requests a second without the log.
MOST_COST = 15


def measure(sites: Sites, sizes: Sizes) -> Findings:
    """Measure /predict with and without the log, on both databases."""
    findings = Findings("cost")
    for logged in sites.both():
        compare(logged, sites.make(logged.database), sizes, findings)
    return findings


def compare(logged: Site, unlogged: Site, sizes: Sizes, findings: Findings) -> None:
    """Measure both in turn, round by round."""
    shutil.copy(UNLOGGED, unlogged.folder)
    with logged.log() as log, unlogged.log() as nothing:
        with logged.serving() as on, unlogged.serving(service="unlogged:Diamonds") as off:
            measured = in_turn(on, off, log, sizes)
        check(log, nothing, logged.database, findings)
    tell(measured, logged.database, findings)


def in_turn(on: Server, off: Server, log: TrafficLog, sizes: Sizes) -> dict[tuple[str, int], Measurement]:
    """What each round measured; the log is complete before another service is asked."""
    bodies = four_cs(default_stones())
    measured = {(name, many): Measurement(name, many) for name in ("on", "off") for many in (ONE, MANY)}
    for number in range(sizes.rounds):
        turns = [("on", on), ("off", off)]
        for name, server in turns if number % 2 == 0 else reversed(turns):
            for many in (ONE, MANY):
                outcome = load(Job(server.port, "/predict", bodies, many, WARM_UP_SECONDS, sizes.seconds))
                measured[name, many].rounds.append(outcome)
                log.answered += outcome.answered if name == "on" else 0
                log.wait()
    return measured


def check(log: TrafficLog, nothing: TrafficLog, database: str, findings: Findings) -> None:
    """Make sure that the log was on where it was on and off where it was off."""
    if (rows := log.rows()) != log.answered:
        findings.blame(database, [f"{log.answered:,} requests were answered, and traffic has {rows:,} rows"])
    if rows := nothing.rows():
        findings.blame(database, [f"the log was not off: it has {rows:,} rows"])


def tell(measured: dict[tuple[str, int], Measurement], database: str, findings: Findings) -> None:
    """Add what was measured."""
    on, off = measured["on", MANY], measured["off", MANY]
    share = median(ours / theirs for ours, theirs in zip(rates(on), rates(off), strict=True))
    for each in (on, off):
        findings.add(f"{database}: /predict, log {each.name}, 16 connections", each.requests_per_second, "requests/s")
    findings.add(f"{database}: of the throughput the log takes", 100 * (1 - share), "%", most=MOST_COST)
    for name in ("on", "off"):
        findings.add(f"{database}: p99 with 1 connection, log {name}", p99(measured[name, ONE]), "ms")
    findings.blame(database, refused(measured))


def refused(measured: dict[tuple[str, int], Measurement]) -> list[str]:
    """What was answered other than 200."""
    outcomes = [outcome for each in measured.values() for outcome in each.rounds]
    return [f"answers were {outcome.statuses}" for outcome in outcomes if set(outcome.statuses) != {"200"}]
