"""Part `outage`: nobody notices that PostgreSQL is away, and nothing is lost meanwhile."""

import time
from dataclasses import dataclass, field

from sqlalchemy import func, select

from benchmarks.service.bodies import default_stones
from benchmarks.service.load import quantile
from benchmarks.service.log import PATIENCE_SECONDS, TrafficLog
from benchmarks.traffic.audit import missing_or_doubled
from benchmarks.traffic.client import asking
from benchmarks.traffic.findings import Findings
from benchmarks.traffic.mix import good
from benchmarks.traffic.postgresql import PostgreSQL
from benchmarks.traffic.receipts import Receipts
from benchmarks.traffic.sites import POSTGRESQL, Sites
from benchmarks.traffic.sizes import Sizes
from diamonds.store.tables import Traffic

WARM_UP_SECONDS, BEFORE_SECONDS, AFTER_SECONDS = 2, 15, 15
#: How long the load goes on at most after the return, and how long the rest is waited for without it.
MOST_SECONDS = 45
LOOK_SECONDS = 0.25


@dataclass
class Outage:
    """When the database was away, in nanoseconds of the monotonic clock, and what was seen after its return.

    Attributes:
        steady: From when on the load is measured.
        gone: When it was stopped.
        back: When it answered again.
        boundary: No request that began before the return has an id beyond this one.
        seen: How many rows up to the boundary there were, by the seconds since the return.
    """

    steady: int = 0
    gone: int = 0
    back: int = 0
    boundary: str = ""
    seen: list[tuple[float, int]] = field(default_factory=list)


def measure(sites: Sites, sizes: Sizes) -> Findings:
    """Take PostgreSQL away from a service at full load, and from one at a steady rate."""
    findings = Findings("outage")
    survive(sites, sizes, 0, "as fast as 16 clients ask", findings)
    survive(sites, sizes, sizes.rate, f"{sizes.rate:,.0f} requests/s", findings)
    return findings


def survive(sites: Sites, sizes: Sizes, rate: float, name: str, findings: Findings) -> None:
    """Measure one load through an outage."""
    site = sites.make(POSTGRESQL)
    requests = [request.as_bytes() for request in good(default_stones(), 5_000)]
    with site.log() as log:
        with site.serving() as server, asking(requests, server.port, rate=rate) as clients:
            outage = take_away(sites.postgresql, sizes.outage)
            watch(log, outage)
            receipts = clients.end()
            is_under_load = bool(outage.seen)
            log.answered = len(receipts.answers)
            watch_the_rest(log, outage)
        tell(findings, name, receipts, outage)
        tell_backlog(findings, name, outage, count_until(log, outage.boundary), under_load=is_under_load)
        findings.blame(name, missing_or_doubled(receipts.ids, log.ids(), receipts.broken))


def take_away(postgresql: PostgreSQL, seconds: float) -> Outage:
    """Stop PostgreSQL for so long, under a load that runs already."""
    outage = Outage()
    time.sleep(WARM_UP_SECONDS)
    outage.steady = time.monotonic_ns()
    time.sleep(BEFORE_SECONDS)
    outage.gone = time.monotonic_ns()
    postgresql.stop()
    time.sleep(seconds)
    postgresql.start()
    outage.back, outage.boundary = time.monotonic_ns(), first_id_after(time.time_ns())
    return outage


def first_id_after(nanoseconds: int) -> str:
    """The least id of version 7 in the millisecond after this moment.

    >>> first_id_after(0)
    '00000000-0001-7'
    """
    digits = f"{nanoseconds // 1_000_000 + 1:012x}"
    return f"{digits[:8]}-{digits[8:]}-7"


def watch(log: TrafficLog, outage: Outage) -> None:
    """Let the load go on until what waited is there and for some time after that, but not for ever."""
    until = outage.back + MOST_SECONDS * 10**9
    while time.monotonic_ns() < until:
        if not outage.seen and look(log, outage):
            until = min(until, time.monotonic_ns() + AFTER_SECONDS * 10**9)
        time.sleep(LOOK_SECONDS)
    look(log, outage)


def watch_the_rest(log: TrafficLog, outage: Outage) -> None:
    """Wait, without load, until there is a row for each answer, or for long."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while log.rows() < log.answered and time.monotonic() < deadline:
        look(log, outage)
        time.sleep(LOOK_SECONDS)
    look(log, outage)


def look(log: TrafficLog, outage: Outage) -> bool:
    """Count the rows up to the boundary, once there is one beyond: before that it would only cost the load."""
    with log.engine.connect() as connection:
        newest = connection.execute(select(func.max(Traffic.request_id))).scalar()
    if newest is None or newest < outage.boundary:
        return False
    outage.seen.append(((time.monotonic_ns() - outage.back) / 1e9, count_until(log, outage.boundary)))
    return True


def count_until(log: TrafficLog, boundary: str) -> int:
    """How many rows have an id before this one."""
    counted = select(func.count()).select_from(Traffic).where(Traffic.request_id < boundary)
    with log.engine.connect() as connection:
        return int(connection.execute(counted).scalar_one())


def tell(findings: Findings, name: str, receipts: Receipts, outage: Outage) -> None:
    """Add how long callers waited before, during and after."""
    over = max((answer.ended for answer in receipts.answers), default=0) + 1
    spans = {
        "before": (outage.steady, outage.gone),
        "during": (outage.gone, outage.back),
        "after": (outage.back, over),
    }
    taken = {when: receipts.between(*span) for when, span in spans.items()}
    most = 1.5 * quantile(taken["before"], 0.99)
    findings.add(f"{name}: failed requests of {len(receipts.answers):,}", receipts.failed, "requests", most=0)
    for when, (first, last) in spans.items():
        findings.add(f"{name}, {when}: answered", len(taken[when]) / ((last - first) / 1e9), "requests/s")
        findings.add(f"{name}, {when}: p50", quantile(taken[when], 0.5), "ms")
        p99 = quantile(taken[when], 0.99)
        findings.add(f"{name}, {when}: p99", p99, "ms", most=round(most, 2) if when == "during" else None)
    if receipts.failed:
        findings.blame(name, [f"{receipts.failed:,} requests failed"])


def tell_backlog(findings: Findings, name: str, outage: Outage, rows: int, *, under_load: bool) -> None:
    """Add how long it took until what had waited was in the database."""
    seconds = next((after for after, count in outage.seen if count == rows), None)
    findings.add(f"{name}: until what waited was in the database", seconds, "s", most=30)
    if not under_load:
        findings.remarks.append(f"{name}: the load ended {MOST_SECONDS} s after the return; what waited came later")
