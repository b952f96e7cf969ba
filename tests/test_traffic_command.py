"""`diamonds traffic`: the log in a terminal, for programs, and pruned."""

import csv
import io
import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from diamonds.config import Settings
from diamonds.store import lookups, partitions, traffic
from diamonds.store.database import migrate, open_database
from diamonds.store.lookups import Asked
from project import Project

DIAMONDS = Path(sys.executable).with_name("diamonds")
SOURCES = str(Path(__file__).parents[1] / "src")
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
EXCHANGE = {
    "duration_ms": 1234.5, "method": "POST", "path": "/predict", "status": 200, "request_body": {"carat": 1.1},
    "response_body": {"price": 1}, "model": "xgboost", "version": "v1", "client": "192.0.2.1",
}  # fmt: skip


def request_id(moment):
    return f"{partitions.least_id(moment)}-7000-8000-000000000000"


def record(engine, *exchanges):
    """Record exchanges, each a moment and what it has that others have not."""
    records = [
        {"request_id": request_id(moment), "received_at": moment.isoformat(timespec="microseconds")}
        | EXCHANGE
        | changes
        for moment, changes in exchanges
    ]
    traffic.record(engine, [json.dumps(each, separators=(",", ":")) for each in records])


@pytest.fixture
def run(database, tmp_path):
    """Calls `diamonds traffic` in a folder of its own, where this is the database."""
    environment = {"DIAMONDS_DATABASE_URL": database.url.render_as_string(hide_password=False)}

    def called(*words):
        return Project(tmp_path).run("diamonds", "traffic", *words, PYTHONPATH=SOURCES, **environment)

    return called


def test_the_newest_exchanges_are_a_table_without_bodies(run, database):
    hour = timedelta(hours=1)
    record(database, (NOON, {}), (NOON + hour, {"status": 422, "model": None, "version": None, "client": None}))

    done = run()

    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["time", "(UTC)", "method", "path", "status", "ms", "model", "client", "request_id"],
        ["2026-11-21", "13:00:00", "POST", "/predict", "422", "1,234.50", request_id(NOON + hour)],
        ["2026-11-21", "12:00:00", "POST", "/predict", "200", "1,234.50", "xgboost", "v1", "192.0.2.1", request_id(NOON)],
    ]  # fmt: skip


def test_what_callers_send_neither_styles_the_table_nor_steers_the_terminal(run, database):
    record(database, (NOON, {"path": "/[red]a[/red]\x1b[2J\u202e\n", "client": "[bold]"}))

    shown = run().stdout

    assert r"/[red]a[/red]\x1b[2J\u202e\n " in shown
    assert " [bold] " in shown
    assert "\x1b" not in shown


@pytest.fixture
def hourly(database):
    """A log of an exchange an hour, the newest 30 minutes old."""
    newest = datetime.now(UTC) - timedelta(minutes=30)
    record(database, *((newest - timedelta(hours=hour), {"status": 200 + hour}) for hour in range(30)))
    return newest


def test_exchanges_are_narrowed_by_age_and_by_all_else(run, hourly):
    def hours(*words):
        return [each["status"] - 200 for each in json.loads(run("--json", *words).stdout)]

    assert hours("--since", "2h") == [0, 1]
    assert hours("--since", "45m") == [0]
    assert hours("--since", "1d", "--until", "22h") == [22, 23]
    assert hours("--until", (hourly - timedelta(hours=28, minutes=1)).isoformat()) == [29]
    assert hours("--status", "207", "--path", "/predict", "--version", "v1") == [7]
    assert hours("--before", request_id(hourly - timedelta(hours=3)), "--limit", "2") == [4, 5]
    assert hours("--path", "/none") == []
    assert len(hours()) == 20


def test_as_json_exchanges_have_their_bodies_and_as_csv_bodies_are_json(run, database):
    record(database, (NOON, {}))

    (exchange,) = json.loads(run("--json").stdout)
    (row,) = csv.DictReader(io.StringIO(run("--csv").stdout))

    assert tuple(exchange) == tuple(row) == lookups.COLUMNS
    assert (exchange["request_body"], exchange["response_body"]) == ({"carat": 1.1}, {"price": 1})
    assert json.loads(row["request_body"]) == {"carat": 1.1}
    assert exchange["received_at"] == row["received_at"] == "2026-11-21T12:00:00Z"
    assert (row["status"], row["request_sha256"]) == ("200", "")


def test_where_nothing_is_logged_that_is_said(run):
    assert run().stdout == run("counts").stdout == "Nothing like this is logged.\n"
    assert run("--json").stdout == run("counts", "--json").stdout == "[]\n"
    assert run("--csv").stdout == ",".join(lookups.COLUMNS) + "\n"


def test_counts_are_of_the_last_day_by_hour_unless_asked_otherwise(run, database):
    record(database, *((NOON + timedelta(minutes=minute), {"duration_ms": minute}) for minute in (0, 10, 50)))
    day = ("counts", "--until", "2026-11-22T00:00")

    shown = run(*day)
    by_minute = json.loads(run(*day, "--per", "minute", "--since", "2026-11-21T12:10", "--json").stdout)
    as_csv = run(*day, "--csv").stdout

    assert shown.stdout.splitlines()[1].split() == ["2026-11-21", "12:00", "200", "3", "20.00", "50.00"]
    assert [(each["moment"][11:], each["exchanges"]) for each in by_minute] == [("12:10:00Z", 1), ("12:50:00Z", 1)]
    assert as_csv == "moment,status,exchanges,mean_ms,slowest_ms\n2026-11-21T12:00:00Z,200,3,20.0,50.0\n"


def test_pruning_removes_what_is_old_and_says_how_much(run, database, hourly):
    assert run("prune", "--older-than", "1d").stdout.startswith("Removed 6 exchanges from before ")
    assert run("prune", "--older-than", "1d").stdout.startswith("Removed 0 exchanges from before ")
    assert len(list(lookups.exchanges(database, Asked(), 99))) == 24


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("prune", "--older-than", "23h"), "'23h' is too young, for it may still be on its way: prune what is 1d old or older"),
        (("prune", "--older-than", "90"), "'90' must be an age such as 90d, 12h or 30m (days, hours, minutes)"),
        (("prune",), "Missing option '--older-than'"),
        (("--since", "yesterday"), "'yesterday' must be a moment such as 2026-11-21T16:30:00Z, or an age such as 90d, 12h or 30m"),
        (("--status", "99"), "99 is not in the range 100<=x<=599"),
        (("--before", "x"), "'x' is not a valid UUID"),
        (("--since", "12h", "--json", "counts"), "--since, --json: give options after counts, not before it"),
        (("counts", "--per", "day"), "'day' is not one of 'minute', 'hour'"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_in_plain_words(tmp_path, words, message):
    done = Project(tmp_path).run("diamonds", "traffic", *words, PYTHONPATH=SOURCES)

    assert (done.returncode, done.stdout) == (2, "")
    assert message in re.sub(r"\s+", " ", done.stderr)


@pytest.fixture
def long(tmp_path):
    """How to call the program where 2,000 exchanges are logged."""
    url = f"sqlite:///{tmp_path}/d.db"
    database = open_database(Settings(database_url=url))
    migrate(database)
    record(database, *((NOON + timedelta(seconds=second), {}) for second in range(2000)))
    database.dispose()
    return {"PYTHONPATH": SOURCES, "DIAMONDS_DATABASE_URL": url}


def test_a_long_table_is_several_so_that_no_more_than_one_is_held(long, tmp_path):
    done = Project(tmp_path).run("diamonds", "traffic", "--limit", "1500", **long)

    heads = [place for place, line in enumerate(done.stdout.splitlines()) if "time (UTC)" in line]
    assert heads == [0, 1001]
    assert len(done.stdout.splitlines()) == 1502


@pytest.mark.parametrize("words", [[], ["--json"], ["--csv"]], ids=["table", "json", "csv"])
def test_a_reader_who_leaves_early_is_no_failure_worth_a_word(long, tmp_path, words):
    with subprocess.Popen(
        [DIAMONDS, "traffic", "--limit", "1000000", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=Project(tmp_path).environment | long, cwd=tmp_path,
    ) as told:  # fmt: skip
        first = told.stdout.readline()
        told.stdout.close()
        complaints = told.stderr.read()

    assert "request_id" in first
    assert complaints == ""


@pytest.mark.parametrize("words", [[], ["--json"], ["counts"]], ids=["table", "json", "counts"])
def test_a_full_disk_is_said_in_a_line(long, tmp_path, words):
    with Path("/dev/full").open("w") as full:
        environment = Project(tmp_path).environment | long
        done = subprocess.run(
            [DIAMONDS, "traffic", *words], stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False
        )

    assert (done.returncode, done.stderr) == (
        1,
        "diamonds: what was asked for cannot be written: No space left on device\n",
    )
