"""The service as processes: how many there are, and how they end."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import time
from collections import Counter

import pytest
from sqlalchemy import text

from diamonds.config import Settings
from diamonds.pricer import load, save
from diamonds.store.database import migrate, open_database
from project import START_SECONDS, serve, status_of, stop

STONE = json.dumps({"carat": 1.1, "cut": "Ideal", "color": "H", "clarity": "SI2"}).encode()
HEAD = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(STONE)}\r\nConnection: close\r\n\r\n".encode()
SIMILAR = HEAD.replace(b"/predict", b"/similar")
CLIENTS = 6


async def exchange(served, body=STONE, head=HEAD):
    """What comes back on a connection of its own; nothing if it ends before an answer."""
    answer = b""
    with contextlib.suppress(ConnectionError):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(served.url.rpartition(":")[2]))
        writer.write(head + body)
        while part := await reader.read(65_536):
            answer += part
        writer.close()
    return answer


def parsed(answer):
    """The status and the document of an answer; it fails where the answer is cut."""
    top, _, body = answer.partition(b"\r\n\r\n")
    (length,) = (int(line.split(b":")[1]) for line in top.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    assert len(body) == length, "an answer was cut"
    return int(top.split()[1]), json.loads(body)


def logged(place, table, columns):
    with contextlib.closing(sqlite3.connect(place)) as connection:
        return connection.execute(f"SELECT {columns} FROM {table}").fetchall()  # noqa: S608 - names of this file


def test_two_workers_answer_from_two_processes_and_each_answer_has_its_row(small_trained, tmp_path):
    outbox, database = tmp_path / "outbox", tmp_path / "own.db"
    running = serve(
        small_trained,
        DIAMONDS_WORKERS="2",
        DIAMONDS_OUTBOX=str(outbox),
        DIAMONDS_DATABASE_URL=f"sqlite:///{database}",
    )

    deadline, answers = time.monotonic() + START_SECONDS, []
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as busy:
        busy.execute("BEGIN EXCLUSIVE")  # so that each process keeps what it answered
        while len(kept := _kept(outbox)) < 2 and time.monotonic() < deadline:  # the second may start later
            answers += asyncio.run(_ask(running, 20))
    stop(running)

    assert len(kept) == 2, "one process answered everything"
    assert kept.total() == len(answers)
    assert sorted(logged(database, "traffic", "request_id, status")) == sorted(
        (quote["request_id"], status) for status, quote in answers
    )


def test_each_of_two_workers_takes_a_promotion_over_by_itself(small_trained, tmp_path):
    home, outbox = tmp_path / "home", tmp_path / "outbox"
    shutil.copytree(small_trained.environment["BENTOML_HOME"], home)
    store = home / "models/diamonds"
    running = serve(
        small_trained,
        BENTOML_HOME=str(home),
        DIAMONDS_WORKERS="2",
        DIAMONDS_OUTBOX=str(outbox),
        DIAMONDS_DATABASE_URL=f"sqlite:///{tmp_path}/own.db",
    )

    with contextlib.closing(sqlite3.connect(tmp_path / "own.db", isolation_level=None)) as busy:
        busy.execute("BEGIN EXCLUSIVE")  # so that each process keeps what it answered
        before = _asked_until_two_answer(running, outbox, b'"version":')
        save(load(store / (store / "latest").read_text()), store / "again-2", "two")
        (store / ".aside").write_text("again-2")
        (store / ".aside").rename(store / "latest")
        after = _asked_until_two_answer(running, outbox, b'"version":"two"')
    stop(running)

    assert len(before) == 2
    assert after.keys() == before.keys()


def _asked_until_two_answer(served, outbox, words):
    """How many answers with these words each process has kept, as soon as two have."""
    deadline = time.monotonic() + START_SECONDS
    while len(kept := +_kept(outbox, words)) < 2 and time.monotonic() < deadline:
        asyncio.run(_ask(served, 20))
    return kept


def test_two_machines_keep_one_log_in_postgresql_and_each_answer_has_its_row(small_trained, postgresql_url, tmp_path):
    engine = open_database(Settings(database_url=postgresql_url))
    migrate(engine)
    machines = [
        serve(small_trained, DIAMONDS_DATABASE_URL=postgresql_url, DIAMONDS_OUTBOX=str(tmp_path / f"outbox-{number}"))
        for number in range(2)
    ]

    answers = [answer for machine in machines for answer in asyncio.run(_ask(machine, 20))]
    for machine in machines:
        stop(machine)

    with engine.connect() as connection:
        rows = connection.execute(text("SELECT request_id, status FROM traffic")).fetchall()
    engine.dispose()
    assert sorted(map(tuple, rows)) == sorted((quote["request_id"], status) for status, quote in answers)
    assert len(answers) == 40


@pytest.mark.parametrize("workers", ["1", "2"])
def test_who_truncates_the_stones_that_are_served_ends_a_worker_that_comes_back_and_refuses_them(
    small_trained, tmp_path, workers
):
    """A mapped file that is cut cannot be read on: it is the hash that says so, at the next start."""
    home = shutil.copytree(small_trained.environment["BENTOML_HOME"], tmp_path / "home")
    running = serve(
        small_trained,
        BENTOML_HOME=str(home),
        DIAMONDS_WORKERS=workers,
        DIAMONDS_DATABASE_URL=f"sqlite:///{tmp_path}/own.db",
        DIAMONDS_OUTBOX=str(tmp_path / "outbox"),
    )
    (numbers,) = (home / "models/diamonds").glob("*/numbers.npy")

    os.truncate(numbers, 0)
    status, deadline = 200, time.monotonic() + START_SECONDS
    while status != 503 and time.monotonic() < deadline:  # nothing else tells that a worker has ended and come back
        asyncio.run(exchange(running, STONE, SIMILAR))
        status = status_of(f"{running.url}/readyz")
    answered = parsed(asyncio.run(exchange(running)))
    stop(running)

    assert answered[0] == 503
    assert answered[1]["title"] == "The champion in the model store was refused: the log of the service says why"
    assert "numbers.npy was changed after it was saved" in running.errors.read_text()


def _kept(outbox, words=b"\n"):
    """How many answers each process has kept, or how many with these words."""
    kept = Counter()
    for file in outbox.glob("*.jsonl"):
        kept[file.name.partition(".")[0]] += file.read_bytes().count(words)
    return kept


async def _ask(served, count):
    return [
        parsed(answer)
        for _ in range(count // 10)
        for answer in await asyncio.gather(*(exchange(served) for _ in range(10)))
    ]


def test_a_number_of_workers_that_cannot_be_is_one_line_and_status_1(small_trained):
    refused = small_trained.run_cold("bentoml", "serve", "--port", "1", DIAMONDS_WORKERS="two")

    said = refused.stdout + refused.stderr
    assert refused.returncode == 1
    assert "DIAMONDS_WORKERS must be a whole number, 1 or more, not 'two'" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_under_load_cuts_no_answer_and_ends_within_ten_seconds_whatever_a_slow_caller_does(
    small_trained, tmp_path, workers
):
    running = serve(
        small_trained,
        DIAMONDS_WORKERS=workers,
        DIAMONDS_DATABASE_URL=f"sqlite:///{tmp_path}/own.db",
        DIAMONDS_OUTBOX=str(tmp_path / "outbox"),
    )

    answers, slow, returned = asyncio.run(_terminate_under_load(running))

    assert returned == 0
    assert len(answers) > 100
    assert {status for status, _ in answers} == {200}
    assert slow[0] == 408
    rows = logged(tmp_path / "own.db", "traffic", "request_id, status")
    assert sorted(rows) == sorted((document["request_id"], status) for status, document in [*answers, slow])
    assert list((tmp_path / "outbox").iterdir()) == []


async def _terminate_under_load(served):
    """What was answered until nobody answers any more, what the slow caller got, and the exit status."""
    answers, enough = [], asyncio.Event()

    async def client():
        while answer := await exchange(served):
            answers.append(parsed(answer))
            if len(answers) > 100:
                enough.set()

    clients = asyncio.gather(*(client() for _ in range(CLIENTS)))
    await enough.wait()
    slow = asyncio.create_task(exchange(served, STONE[:10]))
    await asyncio.wait([slow], timeout=0.2)
    served.process.send_signal(signal.SIGTERM)
    returned = await asyncio.to_thread(served.process.wait, 10)
    await clients
    return answers, parsed(await slow), returned
