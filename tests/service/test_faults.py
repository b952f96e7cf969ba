"""The service while things fail that it stands on."""

import json
import re
import resource
import shutil
import sqlite3
import time
import urllib.request
from contextlib import closing

import psutil

from benchmarks.traffic.kill import is_worker
from project import STONE, serve, stop

PATIENCE_SECONDS = 30
JSON = {"Content-Type": "application/json"}
UNKEPT = "diamonds_exchanges_unkept_total"


def quote(served):
    """The id of an answered quote."""
    asked = urllib.request.Request(f"{served.url}/predict", json.dumps(STONE).encode(), JSON)  # noqa: S310 - ours
    with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310
        assert answer.status == 200
        return json.load(answer)["request_id"]


def told(served, metric):
    """What `/metrics` says; None where it says nothing."""
    with urllib.request.urlopen(f"{served.url}/metrics", timeout=10) as answer:  # noqa: S310
        found = re.search(rf"^{metric} (\S+)$", answer.read().decode(), re.MULTILINE)
    return found and float(found[1])


def logged(database):
    with closing(sqlite3.connect(database)) as connection:
        return [key for (key,) in connection.execute("SELECT request_id FROM traffic ORDER BY received_at")]


def quote_until_some_are_logged(served, database):
    """The ids of quotes, of which at least one is kept."""
    ids, deadline = [], time.monotonic() + PATIENCE_SECONDS
    while not set(ids) & set(logged(database)):
        assert time.monotonic() < deadline, "no exchange reaches the database any more"
        ids.append(quote(served))
    return ids


def wait_until_all_are_accounted_for(served, database, answered):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(logged(database)) + told(served, UNKEPT) != len(answered):
        assert time.monotonic() < deadline, (len(logged(database)), told(served, UNKEPT), len(answered))


def wait_until_it_says(served, metric, value):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while told(served, metric) != value:
        assert time.monotonic() < deadline, (metric, told(served, metric))


def test_an_outbox_that_cannot_be_written_costs_no_answer_is_counted_and_mends_itself(small_trained, tmp_path):
    """From the start, and while the service runs: something in the folder's place, the folder gone, a file spoilt."""
    place, database = tmp_path / "outbox", tmp_path / "own.db"
    place.write_text("no folder")
    running = serve(small_trained, DIAMONDS_OUTBOX=str(place), DIAMONDS_DATABASE_URL=f"sqlite:///{database}")

    answered = [quote(running) for _ in range(20)]
    assert (logged(database), told(running, UNKEPT)) == ([], 20)
    place.unlink()
    answered += quote_until_some_are_logged(running, database)
    shutil.rmtree(place)
    answered += quote_until_some_are_logged(running, database)
    wait_until_all_are_accounted_for(running, database, answered)
    with closing(sqlite3.connect(database, isolation_level=None)) as busy:
        busy.execute("BEGIN EXCLUSIVE")  # so that what comes waits in a file
        answered += [quote(running), quote(running)]
        with max(place.glob("*.jsonl")).open("a") as file:
            file.write("garbage\n")
    wait_until_all_are_accounted_for(running, database, answered)
    wait_until_it_says(running, "diamonds_outbox_bytes", len("garbage\n"))
    assert told(running, "diamonds_outbox_unreadable_total") == 1
    stop(running)

    assert set(logged(database)) < set(answered)
    assert [(path.suffix, path.read_text()) for path in place.iterdir()] == [(".unreadable", "garbage\n")]
    said = running.errors.read_text()
    assert f"no exchange can be kept in {place}: [Errno 17] File exists" in said
    assert len(re.findall(" exchanges could not be kept: ", said)) == 1


def limit_files(served, most):
    """Let the worker write no file beyond so many bytes: to it the disk is full."""
    (worker,) = filter(is_worker, psutil.Process(served.process.pid).children(recursive=True))
    worker.rlimit(psutil.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))


def test_a_full_disk_costs_no_answer_is_counted_and_what_comes_once_there_is_room_is_kept(small_trained, tmp_path):
    database = tmp_path / "own.db"
    running = serve(
        small_trained, DIAMONDS_OUTBOX=str(tmp_path / "outbox"), DIAMONDS_DATABASE_URL=f"sqlite:///{database}"
    )
    answered = quote_until_some_are_logged(running, database)
    wait_until_all_are_accounted_for(running, database, answered)
    before = told(running, UNKEPT)

    limit_files(running, 0)
    answered += [quote(running) for _ in range(20)]
    assert told(running, UNKEPT) == before + 20
    limit_files(running, resource.RLIM_INFINITY)
    answered += quote_until_some_are_logged(running, database)

    wait_until_all_are_accounted_for(running, database, answered)
    stop(running)
    assert set(logged(database)) < set(answered)
    assert list((tmp_path / "outbox").iterdir()) == []
