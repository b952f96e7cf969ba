"""Workers that are forked from one process: what they share, and what becomes of them."""

import contextlib
import http.client
import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks.traffic.kill import is_worker
from project import START_SECONDS, STONE, serve, status_of, stop

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers are started one by one")
HEALTHY, UNLOADED = 200, 503
#: Loads a champion whose model computes with several threads, forks, and has the fork compute with as many.
FORKED = """
import os, signal, sys, threading
from pathlib import Path
from diamonds.service.api import serving

serving.load(Path(sys.argv[1]))
assert threading.enumerate() == [threading.main_thread()]
process = os.fork()
if not process:
    signal.alarm(30)
    stones = serving.champion.pricer.stones.head(500)
    assert serving.champion.pricer.price(stones)["price"].gt(0).all()
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
"""


def workers(served):
    """The parent of all workers, and these; None and none while there is no parent that has two."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in filter(is_worker, psutil.Process(served.process.pid).children()):
            if len(forked := process.children()) == 2:
                return process, forked
    return None, []


def wait_for_workers(served, beside=()):
    """The parent and both workers, once there are such and none of them is one of these."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        parent, forked = workers(served)
        if parent and not {parent, *forked} & set(beside) and status_of(f"{served.url}/readyz") is not None:
            return parent, forked
        assert time.monotonic() < deadline, served.errors.read_text()
        time.sleep(0.05)  # nothing else tells that a process was forked


def ask(served):
    """A quote, on a connection of its own."""
    with contextlib.closing(http.client.HTTPConnection(served.url.removeprefix("http://"), timeout=30)) as connection:
        connection.request("POST", "/predict", json.dumps(STONE), {"Content-Type": "application/json"})
        return json.load(connection.getresponse())


def counted(served):
    """How many quotes the metrics of all workers tell of."""
    with contextlib.closing(http.client.HTTPConnection(served.url.removeprefix("http://"), timeout=30)) as connection:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    found = re.search(r'^diamonds_requests_total\{route="/predict",status="200"\} (.*)$', text, re.MULTILINE)
    return float(found[1]) if found else 0


def memory(process, kind):
    """What the kernel says of a process's memory, in MiB."""
    lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:")) / 1024


@pytest.fixture
def start(small_trained, tmp_path):
    """Starts a service of two workers with a database and an outbox of its own, and ends it where that is left."""
    running = []

    def started(until=HEALTHY, **environment):
        own = {"DIAMONDS_DATABASE_URL": f"sqlite:///{tmp_path}/own.db", "DIAMONDS_OUTBOX": str(tmp_path / "outbox")}
        running.append(serve(small_trained, until=until, DIAMONDS_WORKERS="2", **own, **environment))
        return running[-1]

    yield started
    for each in running:
        if each.process.poll() is None:
            stop(each)


def test_what_each_of_two_workers_counts_is_added_up(start):
    served = start()
    wait_for_workers(served)

    answered = [ask(served) for _ in range(40)]

    deadline = time.monotonic() + START_SECONDS
    while (told := counted(served)) < len(answered) and time.monotonic() < deadline:
        time.sleep(0.05)  # a worker tells what it counted when it has shipped
    assert told == len(answered)


def test_two_workers_share_most_of_their_memory_and_end_with_ctrl_c(start):
    served = start()
    parent, forked = wait_for_workers(served)

    for process in forked:
        assert memory(process, "Shared_Dirty") > 2 * memory(process, "Private_Dirty") > 0
    together = sum(memory(process, "Pss") for process in [parent, *forked])
    assert together < 1.6 * memory(parent, "Rss"), "each has a copy"
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(30) == 0
    assert psutil.wait_procs([parent, *forked], timeout=10)[1] == []


def test_what_computes_with_several_threads_does_so_in_a_fork_too(small_trained, tmp_path):
    (pricer,) = (small_trained.folder / "data/06_models/hist_gradient_boosting_pricer").glob("*/*")
    shutil.copytree(pricer, tmp_path / "store/boosted-1")
    (tmp_path / "store/latest").write_text("boosted-1")

    done = subprocess.run(
        [sys.executable, "-c", FORKED, str(tmp_path / "store")],
        cwd=tmp_path,
        env=small_trained.environment | {"DIAMONDS_WORKERS": "2", "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == "7\n", done.stderr


def test_a_killed_worker_is_replaced_while_the_other_answers_and_what_it_kept_reaches_the_database(start, tmp_path):
    served = start()
    parent, forked = wait_for_workers(served)
    with contextlib.closing(sqlite3.connect(tmp_path / "own.db", isolation_level=None)) as busy:
        busy.execute("BEGIN EXCLUSIVE")  # so that the killed one has something left
        answers, deadline = [], time.monotonic() + START_SECONDS
        while {int(kept.name.partition("-")[0]) for kept in (tmp_path / "outbox").glob("*.jsonl")} != {
            process.pid for process in forked
        }:
            answers.append(ask(served)["request_id"])
            assert time.monotonic() < deadline

        forked[0].kill()
        same, replaced = wait_for_workers(served, beside=[forked[0]])
    answers += [ask(served)["request_id"] for _ in range(20)]
    stop(served)

    assert same == parent
    assert forked[1] in replaced
    assert f"({forked[0].pid}) ended by SIGKILL and is begun anew" in served.errors.read_text()
    with contextlib.closing(sqlite3.connect(tmp_path / "own.db")) as connection:
        rows = connection.execute("SELECT request_id FROM traffic").fetchall()
    assert sorted(rows) == sorted((answer,) for answer in answers)


def test_nobody_outlives_a_killed_parent_and_all_begin_anew(start):
    served = start()
    parent, forked = wait_for_workers(served)

    parent.kill()

    assert psutil.wait_procs(forked, timeout=10)[1] == []
    wait_for_workers(served, beside=[parent, *forked])
    assert ask(served)["price"] > 0


def test_two_workers_begin_without_a_champion_and_take_the_first_one(small_trained, start, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(small_trained.environment["BENTOML_HOME"], home)
    latest = home / "models/diamonds/latest"
    latest.rename(home / "aside")
    served = start(until=UNLOADED, BENTOML_HOME=str(home))
    wait_for_workers(served)
    deadline = time.monotonic() + START_SECONDS
    while served.errors.read_text().count("no price is quoted: there is no champion") < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)  # each says so when it is open

    (home / "aside").rename(latest)
    while [status_of(f"{served.url}/readyz") for _ in range(20)] != [HEALTHY] * 20:
        assert time.monotonic() < deadline
    stop(served)

    assert served.errors.read_text().count("no price is quoted: there is no champion") == 2
