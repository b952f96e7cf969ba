"""The service as processes: how many there are, and how they end."""

import asyncio
import contextlib
import json
import signal
import sqlite3
import time
from collections import Counter

from project import START_SECONDS, serve, stop

STONE = json.dumps({"carat": 1.1, "cut": "Ideal", "color": "H", "clarity": "SI2"}).encode()
HEAD = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(STONE)}\r\nConnection: close\r\n\r\n".encode()
CLIENTS = 6


async def exchange(served, body=STONE):
    """What comes back on a connection of its own; nothing if it ends before an answer."""
    answer = b""
    with contextlib.suppress(ConnectionError):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(served.url.rpartition(":")[2]))
        writer.write(HEAD + body)
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


def _kept(outbox):
    """How many answers each process has kept."""
    kept = Counter()
    for file in outbox.glob("*.jsonl"):
        kept[file.name.partition(".")[0]] += file.read_bytes().count(b"\n")
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


def test_sigterm_under_load_cuts_no_answer_and_ends_within_ten_seconds_whatever_a_slow_caller_does(
    small_trained, tmp_path
):
    running = serve(
        small_trained, DIAMONDS_DATABASE_URL=f"sqlite:///{tmp_path}/own.db", DIAMONDS_OUTBOX=str(tmp_path / "outbox")
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
