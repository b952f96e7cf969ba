"""The load on the service is counted as the server sees it, and what the benchmark starts it ends."""

import pytest

from benchmarks.service.load import Job, Outcome, load
from benchmarks.service.report import BARE, BATCH, MANY, PREDICT, STOCK, Measurement, Report
from benchmarks.service.servers import running
from project import ROOT
from scripted import answer, scripted

BARE_SERVER = [str(ROOT / "benchmarks/service/bare.py"), "{port}"]


def test_every_answer_is_counted_with_its_status_those_of_the_warm_up_and_the_last_ones_too():
    with scripted([answer(b"200 OK")], [answer(b"503 Busy", b"not now")]) as (port, asked):
        outcome = load(Job(port, "/predict", ["{}"], connections=4, warm_up=0.05, seconds=0.05))

    assert outcome.answered == len(asked)
    assert abs(outcome.statuses["200"] - outcome.statuses["503"]) <= 1
    assert 0 < outcome.requests < outcome.answered
    assert outcome.refusal == "not now"


def test_the_bodies_are_asked_in_turn():
    with scripted([answer(b"200 OK")]) as (port, asked):
        load(Job(port, "/predict", ["1", "22"], connections=3))

    heads, sent = zip(*(request.split(b"\r\n\r\n") for request in asked), strict=True)
    assert sorted(sent) == [b"1", b"1", b"22"]
    assert heads[sent.index(b"22")].startswith(b"POST /predict HTTP/1.1\r\n")
    assert heads[sent.index(b"22")].endswith(b"Content-Length: 2")


def test_an_answer_in_pieces_is_one_answer():
    whole = answer(b"200 OK", b"x" * 100)

    with scripted([whole[:20], whole[20:60], whole[60:90], whole[90:]]) as (port, asked):
        outcome = load(Job(port, "/predict", ["{}"], connections=2, warm_up=0.05))

    assert outcome.statuses == {"200": len(asked)}
    assert len(asked) > 2


def test_a_connection_is_renewed_where_that_is_asked_for():
    with scripted([answer(b"200 OK"), b""]) as (port, asked):
        outcome = load(Job(port, "/predict", ["{}"], warm_up=0.05, renewed_after=0))
        with pytest.raises(ConnectionError, match=r"/predict was not answered to the end"):
            load(Job(port, "/predict", ["{}"], warm_up=0.05))

    assert outcome.answered > 4
    assert len(asked) > outcome.answered


def test_an_answer_without_a_length_is_a_failure_that_names_the_reason():
    with (
        scripted([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"]) as (port, _),
        pytest.raises(ConnectionError, match=r"/predict was not answered to the end: .*no Content-Length"),
    ):
        load(Job(port, "/predict", ["{}"]))


def test_a_server_ends_with_all_that_it_started_also_on_ctrl_c(tmp_path):
    starts_another = tmp_path / "starts_another.py"
    starts_another.write_text(
        "import runpy, subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        f"sys.argv[0] = {BARE_SERVER[0]!r}\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )

    started, peaks = [], []

    def interrupted():
        with running([str(starts_another), "{port}"], tmp_path) as server:
            started.extend([server.process, *server.process.children()])
            peaks.append(server.peak_mib)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert peaks[0] > 10
    assert len(started) == 2
    assert [process for process in started if process.is_running()] == []


def test_a_server_that_does_not_start_says_why(tmp_path):
    with (
        pytest.raises(RuntimeError, match=r"a server did not start: .*\n.*no port"),
        running(["-c", "raise SystemExit('no port')"], tmp_path),
    ):
        pass


def test_the_bars_are_read_against_the_medians_of_the_rounds():
    report = Report({(name, connections): measured(name, connections, *rates) for name, connections, rates in FIGURES})

    bars = {bar: (figure, reached) for bar, figure, reached in report.bars()}

    assert bars["/predict, four Cs: times b, 16 connections, at least 2"] == (2.5, True)
    assert bars["/predict, four Cs: times a, 16 connections, at least 0.25"] == (0.2, False)
    assert bars["/predict, four Cs: p99 in ms, 1 connection, at most 3"] == (2.0, True)
    assert bars["/predict/batch: stones/s, 16 connections, at least 50000"] == (60_000, True)
    assert bars["/similar, n = 5: times b, 16 connections, at least 1.5"] == (None, False)
    assert not any(bar.startswith(MANY) for bar in bars)


FIGURES = [
    (BARE, 16, (10_000, 20_000, 30_000)),
    (STOCK, 16, (1_000, 1_600, 3_000)),
    (PREDICT, 16, (2_500, 4_000, 6_000)),
    (PREDICT, 1, (700, 700, 700)),
    (BATCH, 16, (50, 60, 900)),
]


def measured(name, connections, *rates):
    rounds = [Outcome({"200": rate}, rate, 1.0, 1.0, 2.0, 0.1) for rate in rates]
    return Measurement(name, connections, 1000 if name == BATCH else 1, rounds)
