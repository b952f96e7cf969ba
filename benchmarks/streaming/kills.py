"""Part `kills`: whenever a learner is killed, it learns in the end what never stopping gives, to the last bit."""

import json
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import text

from benchmarks.service.servers import ROOT
from benchmarks.streaming.feeding import running_feed
from benchmarks.streaming.learning import ANYWHERE, POINTS, Death, Task, start
from benchmarks.traffic.findings import Findings
from benchmarks.traffic.postgresql import running_postgresql
from diamonds.config import Settings
from diamonds.store.database import migrate, open_database
from diamonds.streams.spec import Polling, feed

SEED = 20261124
#: How the feed fails: the share of its answers that go wrong, and each how-many-eth row is no row for good.
FAULTS, BAD_EVERY = 0.05, 97
ROWS, ROWS_A_SECOND = 12_000, 150.0
QUICK_ROWS = 1_500
KILLS, QUICK_KILLS = 50, 12
#: After a few batches, or seconds, a process is killed.
MOST_TIMES, MOST_SECONDS = 3, 1.2
#: All that must be the same.
SAME = {
    "rows": "SELECT * FROM data_promotions ORDER BY position",
    "rejects": "SELECT page, key, reason, raw, counted FROM stream_reject WHERE resolved_at IS NULL ORDER BY page, key",
    "checkpoint": "SELECT page, last_key, rows, rejected, state, coefficients, statistics FROM stream_checkpoint",
}


def measure(*, quick: bool) -> Findings:
    """Kill learners of both databases, while the feed grows and fails, and compare what they leave."""
    findings = Findings("kills")
    rows, kills = (QUICK_ROWS, QUICK_KILLS) if quick else (ROWS, KILLS)
    spec = feed(ROOT, "promotions").model_copy(
        update={"polling": Polling(first_seconds=0.05, most_seconds=0.2), "connect_seconds": 1.0, "read_seconds": 0.5}
    )
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        whole = running.enter_context(running_feed(f"--rows={rows}", f"--bad-every={BAD_EVERY}"))
        undisturbed = Task(spec, whole, f"sqlite:///{folder}/undisturbed.db", rows, pages_a_batch=37, in_flight=8)
        _must_end_well(undisturbed)
        postgresql = running.enter_context(running_postgresql(Path(folder) / "postgresql"))
        databases = {"SQLite": f"sqlite:///{folder}/killed.db", "PostgreSQL": postgresql.make_database("killed")}
        for name, database in databases.items():
            _migrate(database)
            wrong = ("--rows=5", f"--grow={ROWS_A_SECOND}", f"--most={rows}", f"--faults={FAULTS}")
            with running_feed(*wrong, f"--bad-every={BAD_EVERY}") as url:
                task = replace(undisturbed, url=url, database=database)
                died = learn_through(task, deaths(kills, SEED), SEED)
            findings.add(f"{name}: learners killed", sum(died.values()), "kills", least=kills)
            findings.remarks.append(
                f"{name}: killed " + ", ".join(f"{died[point]} times {point}" for point in sorted(died))
            )
            findings.add(f"{name}: rows learned", len(learned(database)["rows"]), "rows")
            findings.blame(name, differences(learned(undisturbed.database), learned(database)))
    return findings


def deaths(kills: int, seed: int) -> list[Death]:
    """So many: in turn at each point, and each second one anywhere."""
    chance = random.Random(seed)  # noqa: S311 - nothing here is secret
    return [
        Death(ANYWHERE, chance.uniform(0.02, MOST_SECONDS))
        if number % 2
        else Death(POINTS[number // 2 % len(POINTS)], chance.randint(1, MOST_TIMES))
        for number in range(kills)
    ]


def learn_through(task: Task, deaths: Sequence[Death], seed: int) -> Counter[str]:
    """Learn to the end, dying so often, each time with batches and requests of other sizes; answers who died where.

    Raises:
        RuntimeError: A process ended in another way.
    """
    chance, died = random.Random(seed), Counter[str]()  # noqa: S311 - nothing here is secret
    for death in deaths:
        print(f"killing: {death.point} after {death.after:.3g}", file=sys.stderr)
        sizes: dict[str, Any] = {"pages_a_batch": chance.choice([1, 2, 5, 37]), "in_flight": chance.choice([1, 4, 8])}
        process = start(replace(task, death=death, **sizes))
        process.join()
        if process.exitcode == -signal.SIGKILL:
            died[death.point] += 1
        elif process.exitcode:
            raise RuntimeError(f"a learner that was to die {death} ended with status {process.exitcode}")
    _must_end_well(task)
    return died


def learned(database: str) -> dict[str, list[dict[str, Any]]]:
    """All that must be the same, whatever happened on the way."""
    engine = open_database(Settings(database_url=database))
    try:
        with engine.connect() as connection:
            found = {
                name: [dict(row) for row in connection.execute(text(sql)).mappings()] for name, sql in SAME.items()
            }
    finally:
        engine.dispose()
    for row in found["rows"]:
        del row["seen_at"]
        row["promoted"] = bool(row["promoted"])  # SQLite has no other
    for row in found["rejects"]:
        row["counted"] = bool(row["counted"])
    for row in found["checkpoint"]:
        documents = ("state", "coefficients", "statistics")
        row |= {name: json.loads(row[name]) for name in documents if isinstance(row[name], str)}
    return found


def differences(right: dict[str, list[dict[str, Any]]], found: dict[str, list[dict[str, Any]]]) -> list[str]:
    """What is not the same, each as far as its first difference."""
    problems = []
    for name, rows in right.items():
        if len(rows) != len(found[name]):
            problems.append(f"{len(found[name]):,} {name} instead of {len(rows):,}")
        unequal = [(one, other) for one, other in zip(rows, found[name], strict=False) if repr(one) != repr(other)]
        if unequal:
            one, other = unequal[0]
            fields = [field for field in one if repr(one[field]) != repr(other[field])]
            problems.append(f"{len(unequal):,} {name} differ, the first in {', '.join(fields)}")
    return problems


def _migrate(database: str) -> None:
    engine = open_database(Settings(database_url=database))
    migrate(engine)
    engine.dispose()


def _must_end_well(task: Task) -> None:
    process = start(task)
    process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"a learner ended with status {process.exitcode}")
