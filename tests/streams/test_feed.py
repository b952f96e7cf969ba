"""The feeds that come with the project: what they serve, and how they are called."""

import json
import os
import signal
import sqlite3
import subprocess
import urllib.error
import urllib.request
from contextlib import closing

import numpy as np
import pandas as pd
import pytest
import yaml

from diamonds.cli.listening import address, listen
from diamonds.errors import DataError
from diamonds.streams.feeding.faults import Faults
from diamonds.streams.feeding.generators import CHAIN, PROCESSES, employees
from diamonds.streams.feeding.rows import Drawn, appraised, read_rows
from diamonds.streams.feeding.server import make_app
from diamonds.streams.spec import feed
from feeds import SPEC, drawn_feed, ids, read, serving
from project import ROOT, Project, make_project


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own loopback address
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, answer.read().decode()


def page(url, number):
    status, body = get(f"{url}/api/v1/data?page={number}")
    return status, json.loads(body)


@pytest.mark.parametrize("process", [*PROCESSES, CHAIN])
def test_any_rows_can_be_had_without_those_before_them(process):
    whole = employees(process, 5, 0, 3100)

    assert employees(process, 5, 995, 2005) == whole[995:2005]
    assert Drawn(process, 5).rows(995, 2005) == whole[995:2005]
    assert [each["id"] for each in whole] == list(range(1, 3101))
    assert employees(process, 6, 0, 10) != whole[:10]


def test_qualities_are_unrelated_where_they_promote_and_related_where_promotion_makes_the_network():
    for process in PROCESSES:
        rows = pd.DataFrame(employees(process, 1, 0, 20_000))
        assert abs(np.corrcoef(rows.competence, rows.network_ability)[0, 1]) < 0.025
        assert 0.2 < rows.promoted.mean() < 0.5
    chain = pd.DataFrame(employees(CHAIN, 1, 0, 20_000))
    assert np.corrcoef(chain.competence, chain.network_ability)[0, 1] > 0.2
    inside = chain[chain.promoted]
    assert abs(np.corrcoef(inside.competence, inside.network_ability)[0, 1]) < 0.03


def test_pages_are_those_of_the_api_it_stands_in_for():
    with serving(drawn_feed(25)) as url:
        first = page(url, 0)
        assert first == (200, employees("sum", 1, 0, 10))
        assert list(first[1][0]) == ["id", "competence", "network_ability", "promoted"]
        assert [each["id"] for each in page(url, 2)[1]] == [21, 22, 23, 24, 25]
        assert page(url, 3) == (200, [])
        assert page(url, -1) == first
        assert page(url, 10**20) == (200, [])
        for wrong in ("abc", "1e3", ""):
            assert page(url, wrong)[0] == 422
        assert get(f"{url}/api/v1/data")[0] == 422


def test_it_is_described_for_people_without_a_request_to_another_host_and_for_programs():
    with serving(drawn_feed(25)) as url:
        document = json.loads(get(f"{url}/openapi.json")[1])
        for docs in ("/docs", "/redoc"):
            status, text = get(url + docs)
            assert status == 200
            assert "http://" not in text.replace(url, "")
            assert "https://" not in text
        with urllib.request.urlopen(f"{url}/redoc", timeout=10) as answer:  # noqa: S310 - our own loopback address
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")

    (route,) = document["paths"]
    assert route == "/api/v1/data"
    row = document["components"]["schemas"]["Row"]["properties"]
    assert {name: each["type"] for name, each in row.items()} == {
        "id": "integer", "competence": "number", "network_ability": "number", "promoted": "boolean",
    }  # fmt: skip


def test_rows_of_a_csv_and_of_a_sqlite_file(tmp_path):
    rows = pd.DataFrame(
        {"promoted": [1, 0, 1], "id": [30, 10, 20], "network_ability": [1, 2.5, np.nan], "competence": 0.5, "name": "x"}
    )
    rows.to_csv(tmp_path / "r.csv", index=False)
    with closing(sqlite3.connect(tmp_path / "r.db")) as connection:
        rows.to_sql("people", connection, index=False)
        rows.to_sql("others", connection, index=False)

    served = read_rows(SPEC, tmp_path / "r.csv").rows(0, 10)

    assert served == [
        {"id": 10, "competence": 0.5, "network_ability": 2.5, "promoted": False},
        {"id": 20, "competence": 0.5, "network_ability": None, "promoted": True},
        {"id": 30, "competence": 0.5, "network_ability": 1.0, "promoted": True},
    ]
    assert read_rows(SPEC, tmp_path / "r.db", "people").rows(0, 10) == served
    with pytest.raises(DataError, match=r"name one of the tables of .*r.db with --table: people, others"):
        read_rows(SPEC, tmp_path / "r.db")


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ("True", True), ("False", False), (" true", True), ("FALSE ", False), ("1", True), ("0", False),
        ("yes", "yes"), ("no", "no"), ("t", "t"), ("f", "f"), ("2", 2), ("0.5", 0.5), ("-1", -1), ("", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("beside", ["", "1,0.5,1,True\n", "1,0.5,1,0\n", "1,0.5,1,\n", "1,0.5,1,maybe\n"])
def test_a_boolean_of_a_file_is_never_flipped(tmp_path, written, becomes, beside):
    (tmp_path / "r.csv").write_text(f"id,competence,network_ability,promoted\n{beside}7,0.5,1,{written}\n")

    value = read_rows(SPEC, tmp_path / "r.csv").rows(0, 10)[-1]["promoted"]

    is_known = isinstance(becomes, bool)
    assert value is becomes if is_known or becomes is None else value in {becomes, str(becomes)}
    assert isinstance(value, bool) is is_known


@pytest.mark.parametrize(("key", "said"), [("", "nan"), ("2.5", "2.5"), ("x", "x"), ("inf", "inf")])
def test_a_row_without_a_whole_key_is_said_and_not_served(tmp_path, key, said):
    (tmp_path / "r.csv").write_text(f"id,competence,network_ability,promoted\n1,0.5,1,1\n{key},0.5,1,0\n")

    with pytest.raises(DataError, match=rf"row 2 has the id {said}: it must be a whole number"):
        read_rows(SPEC, tmp_path / "r.csv")


def test_a_file_that_cannot_be_served_is_said(tmp_path):
    (tmp_path / "r.csv").write_text("id,competence\n1,2\n")
    with pytest.raises(DataError, match=r"r.csv has no column network_ability, promoted; it has id, competence"):
        read_rows(SPEC, tmp_path / "r.csv")
    with pytest.raises(DataError, match=r"gone.csv cannot be read: No such file"):
        read_rows(SPEC, tmp_path / "gone.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError, match=r"empty.csv cannot be read: No columns to parse"):
        read_rows(SPEC, tmp_path / "empty.csv")
    with pytest.raises(DataError, match="there is no CSV in"):
        appraised(feed(ROOT, "diamonds"), tmp_path / "none", 0)


def test_stones_come_in_a_drawn_order_and_prices_rise_as_told(tmp_path, stones):
    (tmp_path / "a").mkdir()
    stones.to_csv(tmp_path / "a" / "spring.csv", index=False)
    spec = feed(ROOT, "diamonds")

    still = pd.DataFrame(appraised(spec, tmp_path / "a", 1).rows(0, 3000))
    rising = pd.DataFrame(appraised(spec, tmp_path / "a", 1, drift_percent=1, drift_from=1000).rows(0, 3000))

    assert sorted(still["price"]) == sorted(stones["price"])
    assert (still["price"] != stones["price"]).mean() > 0.9
    assert list(still["id"]) == list(range(1, 3001))
    ratio = (rising["price"] / still["price"]).to_numpy()
    assert ratio[:1001] == pytest.approx(np.ones(1001))
    assert ratio[2000] == pytest.approx(1.01**10, rel=1e-4)


def test_stones_over_http_are_believed_but_for_those_of_no_size(tmp_path, stones):
    (tmp_path / "a").mkdir()
    flat = stones.head(200).copy()
    flat.loc[7, "z"] = 0
    flat.to_csv(tmp_path / "a" / "spring.csv", index=False)
    spec = feed(ROOT, "diamonds")
    app = make_app(spec, appraised(spec, tmp_path / "a", 1), lambda: 200)
    with serving(app) as url:
        pages = read(url, spec=spec)

    (reject,) = [reject for each in pages for reject in each.rejects]
    assert reject.reason == "z must be at least 0.01, not 0.0"
    assert len(ids(pages)) == 199


def test_a_feed_of_faults_fails_the_same_way_again():
    faults = [Faults(0.5, seed=4) for _ in range(2)]
    drawn = [[each.next(number)[0] for number in range(50)] for each in faults]

    assert drawn[0] == drawn[1]
    assert 10 < sum(kind is not None for kind in drawn[0]) < 40
    assert [Faults(0.0).next(number)[0] for number in range(50)] == [None] * 50


@pytest.fixture
def project(tmp_path) -> Project:
    return make_project(tmp_path / "project", {})


def test_the_command_serves_until_it_is_stopped_and_ends_well(project):
    process = project.start(
        "diamonds", "feed", "promotions", "--port", "0", "--rows", "25", "--process", "max", "--seed", "3"
    )
    line = process.stdout.readline()
    url = line.split(" at ")[1].split("/api")[0]

    assert line == f"promotions is served at {url}/api/v1/data?page=0, described at /docs\n"
    assert page(url, 2) == (200, employees("max", 3, 20, 25))
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("promotions", "--process", "luck"), "no process is called luck; known are logistic, sum, interaction, max, hard, chain"),
        (("promotion",), "conf/base/streams.yml has no feed promotion; known are promotions, diamonds"),
        (("promotions", "--source", "gone.csv"), "gone.csv cannot be read: No such file or directory"),
        (("diamonds",), "there is no CSV in data/01_raw/appraisals: name a file with --source"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_said_in_one_line(project, words, says):
    done = project.run("diamonds", "feed", *words)

    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"diamonds: {says}\n")


def test_a_port_that_is_taken_is_said(project):
    with listen("127.0.0.1", 0) as taken:
        port = address(taken).rpartition(":")[2]
        done = project.run("diamonds", "feed", "promotions", "--port", port)

    assert done.returncode == 1
    assert done.stderr == (
        f"diamonds: 127.0.0.1:{port} cannot be served: Address already in use; choose another with --port\n"
    )


def test_the_container_runs_the_feed(project):
    service = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["api"]
    words = service["command"]
    assert service["ports"] == ["127.0.0.1:5000:5000"]
    assert words[words.index("--port") + 1] == "5000"
    local = ["127.0.0.1" if word == "0.0.0.0" else "0" if word == "5000" else word for word in words]  # noqa: S104 - it is compared

    process = project.start(*local)
    url = process.stdout.readline().split(" at ")[1].split("/api")[0]
    check = service["healthcheck"]["test"][1:]
    healthy = subprocess.run(
        [part.replace("http://127.0.0.1:5000", url) for part in check], check=False, env=os.environ
    )
    process.terminate()
    process.communicate(timeout=20)

    assert healthy.returncode == 0
