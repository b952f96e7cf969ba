"""Part `shipping`: how quickly a full outbox reaches the database, beside the plain ways to insert."""

import itertools
import json
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert
from sqlalchemy.orm import Session

from benchmarks.service.bodies import default_stones
from benchmarks.traffic.audit import missing_or_doubled
from benchmarks.traffic.client import asking
from benchmarks.traffic.findings import Findings
from benchmarks.traffic.mix import mix
from benchmarks.traffic.sites import Site, Sites
from benchmarks.traffic.sizes import Sizes
from diamonds.service.exchange import new_request_id
from diamonds.store import traffic
from diamonds.store.outbox import Outbox
from diamonds.store.tables import Traffic

#: So many are recorded; then they are repeated with ids of their own.
RECORDED = 5_000
BATCH = 1_000
#: The plain ways are given this share of the records: they take longer.
SHARE = 5
LEAST_PER_SECOND = 5_000
OURS = "outbox and traffic.record"

Insert = Callable[[Engine, Sequence[str]], None]


def measure(sites: Sites, sizes: Sizes) -> Findings:
    """Ship the same records to both databases, in three ways."""
    findings = Findings("shipping")
    recorded = record(sites.make_away(), sizes)
    for site in sites.both():
        compare(site, recorded, sizes, findings)
    return findings


def record(site: Site, sizes: Sizes) -> list[str]:
    """What a service keeps while its database is away."""
    requests = [request.as_bytes() for request in mix(default_stones(), RECORDED, sizes.seed, long=False)]
    with site.serving() as server, asking(requests, server.port, count=RECORDED) as clients:
        clients.wait()
    return [line for path in sorted(site.outbox.glob("*.jsonl")) for line in path.read_text().split("\n")[:-1]]


def compare(site: Site, recorded: list[str], sizes: Sizes, findings: Findings) -> None:
    """Ship to one database; the plain ways come after and find its tables ready."""
    few = max(sizes.records // SHARE, 1)
    with site.log() as log:
        records = renamed(recorded, sizes.records)
        ours = ship(log.engine, site.outbox, records)
        theirs = {way: plainly(log.engine, insert_some, renamed(recorded, few)) for way, insert_some in PLAIN.items()}
        kept = set(log.ids())
    lost = missing_or_doubled([id_of(each) for each in records], (each for each in kept), 2 * few)
    findings.blame(site.database, lost)
    findings.add(f"{site.database}: {OURS}", ours, "records/s", least=LEAST_PER_SECOND)
    for way, rate in theirs.items():
        findings.add(f"{site.database}: {way}", rate, "records/s")
        findings.add(f"{site.database}: times {way}", ours / rate)


def renamed(records: Sequence[str], count: int) -> list[str]:
    """So many records, each with an id of its own, which ascend as those of the service do."""
    start = len('{"request_id":"')
    drawn = itertools.islice(itertools.cycle(records), count)
    ids = sorted(new_request_id() for _ in range(count))
    return [each[:start] + name + each[start + len(name) :] for name, each in zip(ids, drawn, strict=True)]


def id_of(record: str) -> str:
    """The id of a record.

    >>> id_of('{"request_id":"01a2","path":"/"}')
    '01a2'
    """
    return record.split('"', 4)[3]


def ship(engine: Engine, folder: Path, records: Sequence[str]) -> float:
    """Records a second from a full outbox to the database, as the service ships them."""
    outbox = Outbox(folder)
    for each in records:
        outbox.put(each)
    began = time.perf_counter()
    while len(outbox):
        outbox.ship(partial(traffic.record, engine))
    seconds = time.perf_counter() - began
    outbox.close()
    return len(records) / seconds


def plainly(engine: Engine, insert_some: Insert, records: Sequence[str]) -> float:
    """Records a second, in batches that are parsed and inserted."""
    began = time.perf_counter()
    for first in range(0, len(records), BATCH):
        insert_some(engine, records[first : first + BATCH])
    return len(records) / (time.perf_counter() - began)


def insert_by_core(engine: Engine, records: Sequence[str]) -> None:
    """One statement, executed with many rows."""
    with engine.begin() as connection:
        connection.execute(insert(Traffic), [row(each) for each in records])


def insert_by_orm(engine: Engine, records: Sequence[str]) -> None:
    """Objects, added to a session."""
    with Session(engine) as session:
        session.add_all([Traffic(**row(each)) for each in records])
        session.commit()


PLAIN: dict[str, Insert] = {"SQLAlchemy Core": insert_by_core, "SQLAlchemy ORM": insert_by_orm}


def row(record: str) -> dict[str, Any]:
    """A record, parsed; a body that PostgreSQL does not hold as it is, as its text."""
    parsed: dict[str, Any] = json.loads(record)
    for body in ("request_body", "response_body"):
        text = json.dumps(parsed[body])
        if "\\u0000" in text or "\\ud" in text:
            parsed[body] = text
    return parsed | {"received_at": datetime.fromisoformat(parsed["received_at"])}
