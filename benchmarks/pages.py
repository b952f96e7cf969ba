"""How soon pages are whole, and how much they weigh, with a hundred runs and a million exchanges in the log.

    python -m benchmarks.pages [--project DIR] [--rows N] [--runs N] [--times N] [--json FILE]

Each page is opened by Chromium as by somebody who was never here, on SQLite and on a PostgreSQL of our own: the seconds
from its first byte to its load event and until its last figure is drawn, and the bytes of its HTML, style sheets and
our scripts (Plotly and Swagger UI are not ours). The exit status is 1 where a page fails; a bar that is not reached is
only said.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from statistics import median

from sqlalchemy import Engine, insert, select

from benchmarks.chromium import Chromium, running_chromium
from benchmarks.service import champions
from benchmarks.service.report import machine
from benchmarks.service.servers import end_in_order_on_signals
from benchmarks.traffic.findings import Findings
from benchmarks.traffic.postgresql import running_postgresql
from benchmarks.traffic.sites import Site, Sites
from diamonds.config import Settings
from diamonds.store import partitions, traffic
from diamonds.store.database import open_database
from diamonds.store.tables import TrainedModel, TrainingRun

#: Each page by its address, and its last figure, where it begins with any (those of a run are drawn as they come into
#: view); ID and RUN are those of an exchange and of a run.
PAGES = {
    "/": "",
    "/?carat=1.1&cut=Ideal&color=H&clarity=SI2": "#around .main-svg",
    "/traffic": "#latency .main-svg",
    "/traffic?span=day": "#latency .main-svg",
    "/traffic?status=503&path=/similar": "#latency .main-svg",
    "/traffic/ID": "",
    "/models": "#course .main-svg",
    "/models/RUN": "",
    "/docs": "#swagger-ui .opblock",
}
MOST_SECONDS, MOST_KB = 1.0, 150.0
DAYS, AT_ONCE = 30, 5_000
NOT_OURS = ("/static/plotly-", "/static/swagger-ui")
#: Once the load event is over and this element is there: the status, milliseconds to the first byte, to the load event
#: and to this moment, and the bytes of the page and of all that it loaded, by address.
MOMENTS = """new Promise((resolve) => {
  const look = () => {
    const [page] = performance.getEntriesByType("navigation");
    const isWhole = page.loadEventEnd && (!LAST || page.responseStatus >= 400 || document.querySelector(LAST));
    if (!isWhole) return setTimeout(look, 10);
    const bytes = [page, ...performance.getEntriesByType("resource")].map((each) => [each.name, each.decodedBodySize]);
    resolve([page.responseStatus, page.responseStart, page.loadEventEnd, performance.now(), bytes]);
  };
  look();
})"""


@dataclass(frozen=True)
class Opening:
    """One opening of a page: its status, milliseconds to its first byte, from there to its load event, and bytes.

    `whole_ms` is from the first byte until its last figure is drawn.
    """

    status: int
    first_ms: float
    load_ms: float
    whole_ms: float
    size: int


def main() -> None:
    """Measure, print, and end with 1 if a page failed."""
    given = arguments()
    end_in_order_on_signals()
    with tempfile.TemporaryDirectory(prefix="bench-pages-") as name:
        folder = Path(name)
        project = given.project or trained(folder / "trained")
        champions.publish_champion_of(project, folder / "champion")
        with running_postgresql(folder / "postgresql") as postgresql:
            sites = Sites(folder / "sites", folder / "champion", postgresql).both()
            found = [measure(site, project, given) for site in sites]
    if given.json:
        facts = {"machine": machine(), "parts": [findings.as_json() for findings in found]}
        given.json.write_text(json.dumps(facts, indent=1) + "\n")
    sys.exit(1 if any(findings.problems for findings in found) else 0)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--project", type=Path, help="a trained project whose champion is served; it is not changed")
    asked.add_argument("--rows", type=int, default=1_000_000, help="exchanges in the log, 1,000,000 if not given")
    asked.add_argument("--runs", type=int, default=100, help="runs in the history, 100 if not given")
    asked.add_argument("--times", type=int, default=7, help="how often each page is opened, 7 if not given")
    asked.add_argument("--json", type=Path, help="a file to write all figures to")
    return asked.parse_args()


def trained(project: Path) -> Path:
    """A project that is trained for this."""
    print("training a champion", file=sys.stderr)
    project.mkdir()
    champions.train(project)
    return project


def measure(site: Site, project: Path, given: argparse.Namespace) -> Findings:
    """Fill a database, open all pages, and print what was found."""
    findings = Findings(site.database)
    with site.engine() as engine:
        print(f"filling {site.database}", file=sys.stderr)
        run = remember(engine, project, given.runs)
        began = time.monotonic()
        exchange = fill(engine, given.rows)
        findings.add(f"{given.rows:,} exchanges recorded", time.monotonic() - began, "s")
    with site.serving() as server, running_chromium() as browser:
        for page, last in PAGES.items():
            address = page.replace("ID", exchange).replace("RUN", run)
            openings = [opened(browser, f"http://127.0.0.1:{server.port}{address}", last) for _ in range(given.times)]
            say(findings, page, openings)
    print(findings.table(), flush=True)
    return findings


def say(findings: Findings, page: str, openings: list[Opening]) -> None:
    """Put a page beside its bars."""
    statuses = {each.status for each in openings}
    if statuses == {404}:
        findings.remarks.append(f"{page} answered 404: it is not there")
        return
    findings.blame(page, [f"answered {status}" for status in statuses - {200}])
    first, load, whole = (
        median(getattr(each, name) for each in openings) / 1000 for name in ("first_ms", "load_ms", "whole_ms")
    )
    size = max(each.size for each in openings) / 1000
    findings.add(f"{page}: from first byte until it is whole", whole / MOST_SECONDS, "of 1 s", most=1)
    if PAGES[page]:
        findings.add(f"{page}: from first byte to its load event", load, "s")
    findings.add(f"{page}: until its first byte", first, "s")
    findings.add(f"{page}: HTML, CSS and own scripts", size / MOST_KB, "of 150 KB", most=1)


def opened(browser: Chromium, url: str, last: str) -> Opening:
    """Open a page."""
    status, first, loaded, whole, bytes_of = browser.visit(url, MOMENTS.replace("LAST", json.dumps(last)))
    size = sum(size for address, size in bytes_of if address == url or is_ours(address))
    return Opening(status, first, loaded - first, whole - first, size)


def is_ours(address: str) -> bool:
    """Whether this is a style sheet or a script that the project brings itself."""
    return address.endswith((".css", ".js")) and not any(name in address for name in NOT_OURS)


def remember(engine: Engine, project: Path, runs: int) -> str:
    """Keep the newest run of a project and its models so many times; answers the id of the last one."""
    source = open_database(Settings(database_url=f"sqlite:///{project.absolute()}/data/diamonds.db"))
    with source.connect() as connection:
        run = dict(connection.execute(select(TrainingRun).order_by(TrainingRun.id.desc()).limit(1)).mappings().one())
        models = connection.execute(select(TrainedModel).where(TrainedModel.run_id == run["id"])).mappings().all()
    source.dispose()
    newest = run["started_at"]
    ids = [f"{newest - timedelta(hours=ago):%Y-%m-%dT%H.%M.%S.000Z}" for ago in reversed(range(runs))]
    with engine.begin() as connection:
        for ago, made in zip(reversed(range(runs)), ids, strict=True):
            began = newest - timedelta(hours=ago)
            connection.execute(insert(TrainingRun).values(run | {"id": made, "started_at": began}))
            for model in models:
                kept = {name: value for name, value in model.items() if name != "id"}
                connection.execute(
                    insert(TrainedModel).values(kept | {"run_id": made, "version": made, "trained_at": began})
                )
    return ids[-1]


def fill(engine: Engine, rows: int) -> str:
    """Record so many exchanges, spread over the last month; answers the id of the last one."""
    records, newest = exchanges(rows), ""
    while batch := list(islice(records, AT_ONCE)):
        traffic.record(engine, batch)
        newest = json.loads(batch[-1])["request_id"]
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
    return newest


def exchanges(rows: int) -> Iterator[str]:
    """Records: a tenth is refused, one in a thousand failed; every thousandth is a batch whose bodies are long."""
    end = datetime.now(UTC)
    stone = '{"carat": 1.1, "cut": "Ideal", "color": "H", "clarity": "SI2"}'
    price = '{"price": 4733.12, "currency": "USD", "low": 4280.0, "high": 5230.0, "confidence": 0.9, "assumed": ["x"]}'
    many, prices = f"[{', '.join([stone] * 800)}]", f"[{', '.join([price] * 500)}]"
    for number in range(rows):
        moment = end - timedelta(days=DAYS) * (rows - number) / rows
        status = 503 if number % 1000 == 3 else 422 if number % 10 == 3 else 200
        path = "/predict/batch" if number % 1000 == 0 else "/similar" if number % 7 == 0 else "/predict"
        asked, answered = (many, prices) if number % 1000 == 0 else (stone, price)
        model = '"xgboost","version":"2026-11-01T06.00.00.000Z"' if status == 200 else 'null,"version":null'
        yield (
            f'{{"request_id":"{partitions.least_id(moment)}-7000-8000-{number:012x}","received_at":"{moment.isoformat()}",'
            f'"duration_ms":{0.2 + number % 97 / 50},"method":"POST","path":"{path}","status":{status},'
            f'"request_body":{asked},"response_body":{answered},"model":{model},"client":"127.0.0.1",'
            f'"request_bytes":{len(asked)},"response_bytes":{len(answered)}}}'
        )


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped; everything that was started has ended")
