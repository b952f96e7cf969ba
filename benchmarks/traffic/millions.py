"""Part `millions`: questions to a log of millions of rows, through the running service."""

import http.client
import importlib
import importlib.util
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection, Engine, func, inspect, select, text

from benchmarks.service.servers import Server
from benchmarks.traffic.findings import Findings
from benchmarks.traffic.sites import POSTGRESQL, Sites
from benchmarks.traffic.sizes import Sizes
from diamonds.store.tables import Traffic

DAYS = 60
TIMES, LIMIT = 20, 50
MOST_MS = 200
LIST, COUNTS = "/traffic", "/traffic/counts"
#: The routes, and what they are to be asked with at least.
ROUTES: dict[str, dict[str, str]] = {
    LIST: {"limit": "1"},
    COUNTS: {"since": "2026-01-01T00:00:00Z", "until": "2026-01-01T01:00:00Z", "per": "hour"},
}
VERSIONS = [f"2026-0{month}-01T06.00.00.000Z" for month in range(1, 6)]

#: What each column holds, of the row with the number n; those that a table does not have are left out.
COLUMNS = {
    "request_id": """
        substr(lpad(to_hex(ms), 12, '0'), 1, 8) || '-' || substr(lpad(to_hex(ms), 12, '0'), 9)
        || '-7' || substr(chance, 1, 3) || '-8' || substr(chance, 4, 3) || '-' || substr(chance, 7, 12)""",
    "received_at": "to_timestamp(ms / 1000.0)",
    "duration_ms": "0.2 + (n % 100) / 50.0",
    "method": "'POST'",
    "path": "path",
    "status": "status",
    "request_body": """
        jsonb_build_object('carat', carat, 'cut', 'Ideal', 'color', CASE status WHEN 422 THEN 'Z' ELSE 'H' END,
                           'clarity', 'SI2', 'depth', 62.0, 'table', 55, 'x', 6.61, 'y', 6.65, 'z', 4.11)""",
    "response_body": """
        CASE WHEN status = 200 THEN
          jsonb_build_object('price', 4000 * carat, 'currency', 'USD', 'low', 3600 * carat, 'high', 4500 * carat,
                             'confidence', 0.9, 'assumed', jsonb_build_array('x', 'y', 'z'), 'outside', '[]'::jsonb,
                             'model', 'xgboost', 'version', version)
        ELSE
          jsonb_build_object('type', 'about:blank', 'title', 'This diamond cannot be priced', 'status', status,
                             'errors', jsonb_build_array(jsonb_build_object('field', 'color', 'got', 'Z', 'problem',
                             'must be one of D, E, F, G, H, I, J (D is the best)')))
        END""",
    "model": "CASE WHEN status = 200 THEN 'xgboost' END",
    "version": "CASE WHEN status = 200 THEN version END",
    "client": "'127.0.0.1'",
    "request_bytes": "120",
    "response_bytes": "240",
}
#: A tenth is bad, one in ten thousand has a rare status or path; the versions follow one another.
INSERT = """
    INSERT INTO traffic ({names})
    SELECT {values} FROM (
      SELECT n, {first} + n * {span} / {rows} AS ms, md5(n::text) AS chance, 0.2 + (n % 400) / 100.0 AS carat,
             CASE WHEN n % 10000 = 7 THEN '/sales' WHEN n % 7 = 0 THEN '/similar' WHEN n % 50 = 1 THEN '/explain'
                  ELSE '/predict' END AS path,
             CASE WHEN n % 10000 = 3 THEN 503 WHEN n % 10 = 3 THEN 422 ELSE 200 END AS status,
             (ARRAY{versions})[1 + n * {kinds} / {rows}] AS version
      FROM generate_series(0::bigint, {rows} - 1) AS n) AS made
"""

Answer = tuple[int, dict[str, Any], float]


def measure(sites: Sites, sizes: Sizes) -> Findings:
    """Fill a table and ask both routes all that they can be asked."""
    findings, site = Findings("millions"), sites.make(POSTGRESQL)
    last = datetime.now(UTC)
    with site.log() as log:
        with site.serving() as server:
            if (missing := absent(server)) == set(ROUTES):
                findings.remarks.append(f"{' and '.join(ROUTES)} answered 404: they are not there, so nothing is made")
                return findings
        seconds = fill(log.engine, sizes.rows, last)
        findings.add(f"{log.rows():,} rows made", seconds, "s")
        with site.serving() as server:
            slowest = [ask(server, question, findings) for question in questions(log.engine, last)]
    findings.add("the slowest answer of all", max(filter(None, slowest), default=None), "ms", most=MOST_MS)
    findings.remarks += [f"GET {route} answered 404: it is not there" for route in sorted(missing)]
    return findings


def absent(server: Server) -> set[str]:
    """The routes that answer 404."""
    return {route for route, needed in ROUTES.items() if get(server, f"{route}?{urlencode(needed)}")[0] == 404}


def fill(engine: Engine, rows: int, last: datetime) -> float:
    """Make so many rows, spread over the days before; answers the seconds it took."""
    began = time.monotonic()
    first = last - timedelta(days=DAYS)
    with engine.begin() as connection:
        make_months(connection, first, last)
        known = {column["name"] for column in inspect(connection).get_columns("traffic")}
        made = {name: value for name, value in COLUMNS.items() if name in known}
        connection.execute(
            text(
                INSERT.format(
                    names=", ".join(made),
                    values=", ".join(made.values()),
                    first=int(first.timestamp() * 1000),
                    span=DAYS * 86_400_000,
                    rows=rows,
                    versions=VERSIONS,
                    kinds=len(VERSIONS),
                ).replace("::", "\\:\\:")
            )
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE traffic"))
    return time.monotonic() - began


def make_months(connection: Connection, first: datetime, last: datetime) -> None:
    """Make the partitions of these months, where the table has any."""
    if importlib.util.find_spec("diamonds.store.partitions") is not None:
        partitions = importlib.import_module("diamonds.store.partitions")
        partitions.make_months(connection, first.date(), last.date())


@dataclass(frozen=True)
class Question:
    """What is asked, and what it is called.

    Attributes:
        name: For people.
        route: Without the query.
        query: The filters and what else there is.
        finds: Whether there is anything to be found.
    """

    name: str
    route: str
    query: dict[str, str]
    finds: bool = True

    @property
    def target(self) -> str:
        """As it is asked."""
        return f"{self.route}?{urlencode(self.query)}"


def questions(engine: Engine, last: datetime) -> list[Question]:
    """Each filter by itself, common, rare and empty, and the counts of the last day."""
    day, middle = (last - timedelta(days=days) for days in (1, DAYS / 2))
    with engine.connect() as connection:
        before = connection.execute(select(func.max(Traffic.request_id)).where(Traffic.received_at <= middle)).scalar()
    asked = [
        ("no filter", {}, True),
        ("since a day ago", {"since": day.isoformat()}, True),
        ("until the middle", {"until": middle.isoformat()}, True),
        ("path, common", {"path": "/predict"}, True),
        ("path, rare", {"path": "/sales"}, True),
        ("status, common", {"status": "200"}, True),
        ("status, rare", {"status": "503"}, True),
        ("status, none", {"status": "418"}, False),
        ("version, newest", {"version": VERSIONS[-1]}, True),
        ("version, oldest", {"version": VERSIONS[0]}, True),
        ("version, unknown", {"version": "2020-01-01T00.00.00.000Z"}, False),
        ("before the middle", {"before": str(before)}, True),
    ]
    listed = [Question(name, LIST, query | {"limit": str(LIMIT)}, finds) for name, query, finds in asked]
    span = {"since": day.isoformat(), "until": last.isoformat(), "per": "hour"}
    return [*listed, Question("of the last day, per hour", COUNTS, span)]


def ask(server: Server, question: Question, findings: Findings) -> float | None:
    """Ask a question again and again; answers the milliseconds of the slowest answer, none where it is not there."""
    answers = [get(server, question.target) for _ in range(TIMES)]
    refused = {(status, document.get("title")) for status, document, _ in answers if status != 200}
    taken = [milliseconds for _, _, milliseconds in answers]
    name = f"GET {question.route}, {question.name}"
    if refused:
        findings.add(name, None, "ms", most=MOST_MS)
        findings.blame(name, [f"{status}: {title}" for status, title in sorted(refused) if status != 404])
        return None
    findings.add(f"{name}: median of {TIMES} (slowest {max(taken):,.0f})", median(taken), "ms", most=MOST_MS)
    findings.blame(name, wrong(question, answers[-1][1]))
    return max(taken)


def wrong(question: Question, answer: dict[str, Any]) -> list[str]:
    """What an answer has that was not asked for, or lacks."""
    if question.route == COUNTS:
        return [] if answer["counts"] else ["nothing was counted"]
    found, query = answer["exchanges"], question.query
    ids = [exchange["request_id"] for exchange in found]
    problems = [
        f"{exchange['request_id']} has {name} {exchange[name]}"
        for exchange in found
        for name in {"path", "status", "version"} & query.keys()
        if str(exchange[name]) != query[name]
    ]
    if ids != sorted(ids, reverse=True):
        problems.append("the newest are not first")
    if "before" in query and ids and ids[0] >= query["before"]:
        problems.append(f"{ids[0]} is not before {query['before']}")
    if bool(ids) != question.finds:
        problems.append(f"{len(ids)} exchanges were found")
    return problems


def get(server: Server, target: str) -> Answer:
    """The status, the document and the milliseconds of one answer, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        began = time.perf_counter()
        connection.request("GET", target)
        answer = connection.getresponse()
        body = answer.read()
        milliseconds = (time.perf_counter() - began) * 1000
    finally:
        connection.close()
    return answer.status, json.loads(body), milliseconds
