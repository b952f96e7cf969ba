"""`diamonds stream` as a process of its own, beside the feed that it learns from."""

import io
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import termios
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import psutil
import pytest
from rich.console import Console

from diamonds.cli.feed import PORTS
from diamonds.cli.watching import Panel, PlainLines
from diamonds.store.database import open_database
from diamonds.streams.feeding.generators import employees
from diamonds.streams.learners import build
from diamonds.streams.science.wording import number
from diamonds.streams.spec import LOCAL_PLACE, PLACE, feed
from project import ROOT, Project, free_port
from streamed import learned

SOURCES = str(ROOT / "src")
END_SECONDS = 20


def configured(folder):
    """A folder with the feeds of the project, and nothing else."""
    (folder / PLACE).parent.mkdir(parents=True)
    (folder / PLACE).write_text((ROOT / PLACE).read_text())
    return Project(folder)


def begin(project, *words):
    """A command of `diamonds` as a process of its own."""
    environment = project.environment | {"PYTHONPATH": SOURCES, "PYTHONUNBUFFERED": "1"}
    command, pipe = [Path(sys.executable).with_name("diamonds"), *words], subprocess.PIPE
    return subprocess.Popen(command, cwd=project.folder, env=environment, stdout=pipe, stderr=pipe, text=True)


def end(process):
    process.kill()
    process.communicate()


def end_all(process):
    """End what a process of a session of its own has begun too; what is gone already is well."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    end(process)


@pytest.fixture
def project(tmp_path):
    return configured(tmp_path)


@pytest.fixture(scope="module")
def feed_url(tmp_path_factory):
    """Where a real feed of 3,000 employees is served."""
    folder = tmp_path_factory.mktemp("feed")
    with ExitStack() as ends:
        process = begin(configured(folder), "feed", "promotions", "--port", "0", "--rows", "3000")
        ends.callback(end, process)
        yield next(word for word in process.stdout.readline().split() if word.startswith("http")).partition("/api")[0]


def stream(project, *words, **environment):
    return project.run("diamonds", "stream", "promotions", "--port", "0", *words, PYTHONPATH=SOURCES, **environment)


def saved(project):
    engine = open_database(project.settings)
    try:
        return learned(engine)["checkpoint"][0]
    finally:
        engine.dispose()


def test_it_learns_to_the_end_once_and_goes_on_from_there(project, feed_url):
    first = stream(project, "--url", feed_url, "--once")
    again = stream(project, "--url", feed_url, "--once", "--json")

    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("promotions is shown at http://127.0.0.1:")
    assert "caught up: page 300, 3,000 rows, version 30 saved\n" in first.stdout
    assert again.returncode == 0, again.stderr
    moments = [json.loads(line) for line in again.stdout.splitlines()]
    assert moments[-1]["rows"] == 3000
    assert "caught up" in {moment["status"] for moment in moments}
    assert saved(project)["coefficients"]["promotion"] == moments[-1]["learners"]["promotion"]["coefficients"]


def test_what_was_learned_of_another_configuration_is_refused_until_it_is_replayed(project, feed_url):
    assert stream(project, "--url", feed_url, "--once").returncode == 0
    local = project.folder / LOCAL_PLACE
    local.parent.mkdir()
    local.write_text(
        "promotions:\n  learners:\n    networking: {kind: moments, target: network_ability, feature: competence, group: promoted}\n"
    )

    refused = stream(project, "--url", feed_url, "--once")
    replayed = stream(project, "--url", feed_url, "--once", "--replay")

    assert refused.returncode == 1
    assert "is of another configuration than conf/base/streams.yml says now" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert replayed.returncode == 0, replayed.stderr
    assert (saved(project)["rows"], list(saved(project)["state"])) == (3000, ["networking"])


def test_a_busy_port_is_said_in_one_line(project, feed_url):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = str(busy.getsockname()[1])
        done = stream(project, "--url", feed_url, "--port", port)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"diamonds: 127.0.0.1:{port} cannot be served: Address already in use")
    assert done.stderr.endswith("; choose another with --port\n")
    assert done.stderr.count("\n") == 1


def test_it_is_not_open_to_other_machines_without_a_token(project, feed_url):
    done = stream(project, "--url", feed_url, "--host", "0.0.0.0")  # noqa: S104 - that is refused

    assert done.returncode == 1
    assert done.stderr.startswith(
        "diamonds: on 0.0.0.0 other machines could steer the stream: set DIAMONDS_ADMIN_TOKEN"
    )


def test_a_feed_that_is_not_configured_is_said_in_one_line(project):
    done = project.run("diamonds", "stream", "sales", PYTHONPATH=SOURCES)

    assert done.returncode == 1
    assert done.stderr == "diamonds: conf/base/streams.yml has no feed sales; known are promotions, diamonds\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_with_five_open_pages_it_ends_in_order_and_all_is_saved(project, feed_url, number):
    process = begin(project, "stream", "promotions", "--url", feed_url, "--port", "0", "--pages-a-batch", "2")

    with ExitStack() as ends:
        ends.callback(end, process)
        url = process.stdout.readline().split()[-1]
        client = ends.enter_context(httpx.Client(base_url=url))
        watched = [ends.enter_context(client.stream("GET", "/events")).iter_lines() for _ in range(5)]
        for lines in watched:
            assert next(line for line in lines if line.startswith("data: ") and json.loads(line[6:])["drawn"]["rows"])
        process.send_signal(number)
        output, errors = process.communicate(timeout=END_SECONDS)

    assert (process.returncode, errors) == (0, "")
    document = saved(project)
    assert document["rows"] % 20 == 0
    assert f"{document['rows']:,} rows" in output.splitlines()[-1]
    assert document["state"]["networking"]["rows"] == document["rows"]


def test_it_ends_in_order_while_a_page_is_read_again_that_does_not_come(project):
    with ExitStack() as ends:
        bad = begin(project, "feed", "promotions", "--port", "0", "--rows", "100", "--bad-every", "50")
        ends.callback(end, bad)
        feed_at = next(word for word in bad.stdout.readline().split() if word.startswith("http")).partition("/api")[0]
        process = begin(project, "stream", "promotions", "--url", feed_at, "--port", "0")
        ends.callback(end, process)
        url = process.stdout.readline().split()[-1]
        assert next(line for line in process.stdout if "caught up" in line)
        end(bad)
        client = ends.enter_context(httpx.Client(base_url=url, timeout=END_SECONDS))
        retries = client.get("/snapshot.json").json()["retries"]
        threads = ends.enter_context(ThreadPoolExecutor())
        again = threads.submit(client.post, "/control/again", json={"page": 4, "key": "50"})
        while client.get("/snapshot.json").json()["retries"] == retries:
            pass

        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=END_SECONDS)

        assert (process.returncode, errors) == (0, "")
        assert output.splitlines()[-1].startswith("paused: page 10, 98 rows, ")
        answer = again.result(END_SECONDS)
        assert (answer.status_code, answer.json()["title"]) == (502, "promotions is not run any more")


def test_paused_waits_for_a_person_to_start_it(project, feed_url):
    process = begin(project, "stream", "promotions", "--url", feed_url, "--port", "0", "--paused")
    with ExitStack() as ends:
        ends.callback(end, process)
        url = process.stdout.readline().split()[-1]
        assert process.stdout.readline() == "paused: page 0, 0 rows, version 0 saved\n"

        httpx.post(f"{url}/control/start", json={}).raise_for_status()

        while not (line := process.stdout.readline()).startswith("caught up"):
            assert line.startswith("running")
        assert "3,000 rows" in line


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_make_stream_starts_a_feed_and_its_learner_and_ends_both(project, number):
    feed_port, page_port = free_port(), free_port()
    words = [
        "make",
        "-s",
        "-f",
        str(ROOT / "Makefile"),
        "-o",
        ".venv/ready",
        "stream",
        f"BIN={Path(sys.executable).parent}",
    ]
    words += [f"FEED_PORT={feed_port}", f"PAGE_PORT={page_port}"]
    environment = project.environment | {"PYTHONPATH": SOURCES, "PYTHONUNBUFFERED": "1"}
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        words, cwd=project.folder, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )
    with ExitStack() as ends:
        ends.callback(end_all, process)
        assert next(line for line in process.stdout if line.startswith("caught up"))
        family = psutil.Process(process.pid).children(recursive=True)
        learners = [each for each in family if "diamonds" in " ".join(each.cmdline()[:2])]
        [shell] = psutil.Process(process.pid).children()
        assert httpx.get(f"http://127.0.0.1:{page_port}/livez").text == "alive"
        assert httpx.get(f"http://127.0.0.1:{feed_port}/livez").json() == {"status": "alive"}

        shell.send_signal(number)
        process.communicate(timeout=END_SECONDS)

        assert len(learners) == 2
        assert psutil.wait_procs(learners, END_SECONDS)[1] == []


FAULTY = ["--latency", "20", "--grow", "200", "--most", "120", "--faults", "0.2", "--seed", "153", "--rows", "60"]


def test_a_slow_growing_faulty_feed_of_the_command_is_learned_whole(project):
    with ExitStack() as ends:
        served = begin(project, "feed", "promotions", "--port", "0", *FAULTY)
        ends.callback(end, served)
        feed_at = next(word for word in served.stdout.readline().split() if word.startswith("http")).partition("/api")[
            0
        ]
        process = begin(project, "stream", "promotions", "--url", feed_at, "--port", "0", "--json")
        ends.callback(end, process)

        moments = (json.loads(line) for line in process.stdout)
        whole = next(moment for moment in moments if moment["rows"] == 120)

        assert (whole["rejected"], whole["learners"]["networking"]["statistics"]["rows"]) == (0, 120)
        assert whole["retries"] > 0


def test_a_further_feed_is_one_entry_for_both_commands(project):
    (project.folder / LOCAL_PLACE).parent.mkdir()
    (project.folder / LOCAL_PLACE).write_text(
        "sales:\n  url: http://127.0.0.1:5002\n  page_size: 3\n  columns:\n    size: {type: number}\n    sold: {type: boolean}\n"
        "  learners:\n    sale: {kind: logit, target: sold, features: [size]}\n"
    )
    (project.folder / "sales.csv").write_text("size,sold\n" + "".join(f"{n % 7},{n % 7 > 3}\n" for n in range(40)))
    with ExitStack() as ends:
        served = begin(project, "feed", "sales", "--source", "sales.csv", "--port", "0")
        ends.callback(end, served)
        said = served.stdout.readline()
        feed_at = next(word for word in said.split() if word.startswith("http")).partition("/api")[0]

        done = project.run("diamonds", "stream", "sales", "--url", feed_at, "--port", "0", "--once", PYTHONPATH=SOURCES)

    assert said.startswith("sales is served at http://127.0.0.1:")
    assert done.returncode == 0, done.stderr
    assert "40 rows" in done.stdout.splitlines()[-1]


def test_the_port_of_each_feed_is_said_by_its_help(project):
    done = project.run("diamonds", "feed", "--help", PYTHONPATH=SOURCES)

    assert "[default: 5000 promotions, 5001 diamonds, 5002 others]" in " ".join(done.stdout.split())
    assert f"url: http://127.0.0.1:{PORTS['diamonds']}" in (ROOT / PLACE).read_text()
    assert PORTS["promotions"] == 5000


def test_a_real_terminal_shows_the_panel_with_the_slopes(project, feed_url):
    main, other = pty.openpty()
    termios.tcsetwinsize(other, (40, 100))
    words = ["stream", "promotions", "--url", feed_url, "--port", "0"]
    environment = project.environment | {"PYTHONPATH": SOURCES, "TERM": "xterm-256color"}
    environment.pop("COLUMNS")
    command = [Path(sys.executable).with_name("diamonds"), *words]
    process = subprocess.Popen(command, cwd=project.folder, env=environment, stdout=other, stderr=other, stdin=other)
    os.close(other)
    seen = b""
    with ExitStack() as ends:
        ends.callback(process.wait)
        ends.callback(process.kill)
        ends.callback(os.close, main)
        while b"caught up" not in seen or b"inside the groups" not in seen.rpartition(b"caught up")[2]:
            seen += os.read(main, 65536)
        process.send_signal(signal.SIGINT)
        while chunk := read_terminal(main):
            seen += chunk
        assert process.wait(END_SECONDS) == 0

    last = seen.decode(errors="replace").rpartition("paused")[2]
    assert "it was stopped" in last
    assert re.search(r"inside the groups +−0\.\d+ +−0\.\d+ … −0\.\d+", last)
    assert re.search(r"accuracy +9\d\.\d%", last)


def read_terminal(main):
    """What was written since; nothing once its last user has gone."""
    try:
        return os.read(main, 65536)
    except OSError:
        return b""


def test_the_command_line_begins_without_what_only_streams_need():
    code = "import sys, diamonds.cli; print([m for m in ('uvicorn', 'aiohttp', 'starlette', 'rich.live') if m in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


COEFFICIENT = {"term": "competence", "estimate": 3.71234, "se": 0.14, "low": 3.43, "high": 3.99}


def document(rows, status="running", accuracy=0.9, **more):
    learner = {
        "kind": "logit", "coefficients": [COEFFICIENT], "scores": {"accuracy": accuracy, "log_loss": 0.2},
        "statistics": {"verdict": {"sentence": "Overall, no link is seen."}}, "view": {},
    }  # fmt: skip
    return {
        "feed": "promotions", "status": status, "reason": None, "page": rows // 10, "rows": rows, "version": 3,
        "rejected": 0, "retries": 2, "rate": 4100.0, "learners": {"promotion": learner},
    } | more  # fmt: skip


def drawn(panel, moment, width=90):
    out = io.StringIO()
    Console(width=width, file=out).print(panel.drawn(moment))
    return out.getvalue()


def test_the_panel_shows_status_scores_coefficients_and_the_verdict():
    panel = Panel(None, "http://127.0.0.1:3001")
    for rows, accuracy in (10, 0.5), (20, 0.8), (30, 0.9):
        text = drawn(panel, document(rows, accuracy=accuracy))

    assert "running  page 3, 30 rows, version 3 saved, 4,100 rows/s, 2 retries" in text
    assert "90.0%" in text
    assert "▁▆█" in text
    assert "3.71 " in text
    assert "3.43 … 3.99" in text
    assert "Overall, no link is seen." in text


def test_the_panel_goes_on_with_the_lines_of_an_earlier_run():
    panel = Panel(None, "http://127.0.0.1:3001")
    history = [{"rows": rows, "scores": {"promotion": {"accuracy": rows / 100}}} for rows in (0, 10, 60)]

    panel.remember_history(history)

    assert "▁▅█" in drawn(panel, document(100, accuracy=1.1))


def test_a_terminal_of_24_lines_shows_the_verdict_and_the_slopes_that_it_speaks_of():
    spec = feed(ROOT, "promotions")
    learners = build(spec)
    for row in employees("sum", 1, 0, 5000):
        for learner in learners.values():
            learner.learn(row)
    reports = {name: {"kind": name, "view": {}} | learner.report() for name, learner in learners.items()}
    verdict = reports["networking"]["statistics"]["verdict"]

    lines = drawn(Panel(None, "http://127.0.0.1:3001"), document(5000, learners=reports), width=80).splitlines()

    seen = " ".join(" ".join(line.strip("│ ") for line in lines[:24]).split())
    assert verdict["sentence"] in seen
    assert f"inside the groups {number(verdict['within'][0]['slope'], 0.03)} −" in " ".join("".join(lines).split())
    assert "competence * promoted" not in "".join(lines)
    assert "-0." not in "".join(lines)


def test_where_there_is_no_terminal_a_line_is_said_for_each_change_only():
    lines = PlainLines("http://127.0.0.1:3001")
    moments = [document(10), document(20), document(200_000), document(200_000, "caught up", rate=None)]

    said = [lines(moment) for moment in moments]

    assert said == [
        "promotions is shown at http://127.0.0.1:3001\nrunning: page 1, 10 rows, version 3 saved, 4,100 rows/s, 2 retries",
        None,
        "running: page 20,000, 200,000 rows, version 3 saved, 4,100 rows/s, 2 retries",
        "caught up: page 20,000, 200,000 rows, version 3 saved, 2 retries",
    ]
