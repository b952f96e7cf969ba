"""What is read: the pages, their assets and examples, the champion and the history."""

import html
import json
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing
from datetime import datetime

import pytest

from diamonds.config import Settings
from diamonds.service import examples
from diamonds.service.champion import LoadedChampion
from diamonds.store import history
from diamonds.store.database import migrate, open_database
from reading import get

FOUR_CS = {"carat": 1.1, "cut": "Ideal", "color": "H", "clarity": "SI2"}


def read(served, path):
    """Status, headers and text of what is read at a path."""
    try:
        with urllib.request.urlopen(served.url + path, timeout=30) as answer:  # noqa: S310 - our own loopback address
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, answer.headers, answer.read().decode()


@pytest.fixture(scope="module")
def champion(trained):
    folder = next(path for path in (trained.folder / "bentoml/models/diamonds").iterdir() if path.is_dir())
    return LoadedChampion.of(folder)


def test_the_page_that_prices_names_the_model_and_leads_to_the_rest(served, champion):
    status, _, page = read(served, "/")

    assert status == 200
    assert (
        f'Priced by <a href="models">{champion.pricer.name}</a>, which has learned from {champion.pricer.summary.rows:,}'
        in page
    )
    assert 'href="http://127.0.0.1:3001">Streams</a>' in page
    paths = [path for path in re.findall(r'href="([^"#]+)"', page) if ":" not in path]
    assert {"./", "models", "traffic", "docs"} <= set(paths)
    for path in paths:
        assert read(served, f"/{path.removeprefix('./')}")[0] == 200, path


def test_the_page_that_prices_says_what_to_do_where_there_is_no_champion():
    answer = get("/")

    assert answer.status_code == 200
    assert "No champion is loaded yet: train one with `kedro run`" in answer.text


def test_pages_lead_to_streams_where_somebody_says_they_are(monkeypatch):
    assert "Streams" not in get("/", headers={"Host": "prices.example"}).text

    monkeypatch.setenv("DIAMONDS_STREAM_URL", "https://streams.example")

    assert '<a href="https://streams.example">Streams</a>' in get("/", headers={"Host": "prices.example"}).text


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_loads_nothing_from_elsewhere_and_has_no_script_of_its_own(served, path):
    _, headers, page = read(served, path)

    loaded = re.findall(r'(?:src|<link[^>]* href)="([^"]+)"', page)
    assert loaded
    assert [link for link in loaded if re.match(r"[a-z]+:|//", link)] == []
    assert re.findall(r"<script(?! src=)|<style| style=| on[a-z]+=|@import|<iframe", page) == []
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "style-src-elem 'self' 'unsafe-inline'; style-src-attr 'none'" in policy, "Plotly makes style sheets"
    assert set(re.findall(r"'[a-z-]+'|\S+:", policy)) == {"'none'", "'self'", "'unsafe-inline'", "data:"}


def test_what_the_pages_load_is_served_and_loads_nothing_from_elsewhere(served):
    _, _, page = read(served, "/docs")
    types = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

    assets = set(re.findall(r'"(static/[^"]+)"', page))

    assert len(assets) == 5
    for asset in assets:
        status, headers, text = read(served, f"/{asset}")
        assert status == 200, asset
        assert headers["Content-Type"].split(";")[0] == types[asset[asset.rindex(".") :]]
        assert re.findall(r"@import|url\((?![\"']?data:)[^)]", text if asset.endswith(".css") else "") == []


def test_swagger_ui_asks_nobody_else_whether_the_document_is_valid(served):
    _, _, script = read(served, "/static/docs.js")

    assert "validatorUrl: null" in script
    assert 'url: "docs.json"' in script
    assert f'const EXAMPLE = "{examples.REQUEST_ID}"' in script, "the example sale is tried with a quote of its own"


@pytest.fixture(scope="module")
def snippets(served):
    """The examples on the page, by their name, as a person would copy them."""
    _, _, page = read(served, "/docs")
    found = re.findall(r'<code id="([a-z]+)">(.*?)</code>', page, re.DOTALL)
    return {name: html.unescape(text) for name, text in found}


def expected_price(served):
    request = urllib.request.Request(  # noqa: S310
        f"{served.url}/predict", json.dumps(FOUR_CS).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)["price"]


def test_the_example_for_a_shell_is_a_request_that_is_answered(served, snippets):
    words = shlex.split(snippets["curl"].replace("\\\n", " "))

    assert words[:4] == ["curl", "-X", "POST", f"{served.url}/predict"]
    options = dict(zip(words[4::2], words[5::2], strict=True))
    assert options["-H"] == "Content-Type: application/json"
    assert json.loads(options["-d"]) == FOUR_CS
    if shutil.which("curl"):
        done = subprocess.run(["sh", "-c", snippets["curl"]], capture_output=True, text=True, check=True)
        assert json.loads(done.stdout)["price"] == expected_price(served)


def test_the_example_in_python_prints_the_price(served, snippets):
    done = subprocess.run(
        [sys.executable, "-c", snippets["python"]],
        capture_output=True, text=True, check=True, env=served.project.environment,
    )  # fmt: skip

    assert float(done.stdout) == expected_price(served)


def test_the_example_in_javascript_asks_for_the_same(served, snippets):
    address, body = re.search(r'fetch\("(.+?)".*JSON\.stringify\((.+?)\)', snippets["fetch"], re.DOTALL).groups()

    assert address == f"{served.url}/predict"
    assert json.loads(re.sub(r"(\w+):", r'"\1":', body)) == FOUR_CS


@pytest.mark.skipif(not shutil.which("node"), reason="no Node.js here; the test above reads the example instead")
def test_the_example_in_javascript_prints_the_price(served, snippets):
    done = subprocess.run(
        ["node", "--input-type=module", "-e", snippets["fetch"]], capture_output=True, text=True, check=True
    )

    assert float(done.stdout) == expected_price(served)


def test_the_champion_is_told_of_as_the_history_knows_it(served, trained):
    status, headers, text = read(served, "/champion")
    engine = open_database(trained.settings)
    known = history.champion(engine)
    run = history.run(engine, known.version)
    engine.dispose()

    card = json.loads(text)
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert (card["name"], card["version"], card["reason"]) == (known.name, known.version, known.reason)
    assert datetime.fromisoformat(card["promoted_at"]) == known.promoted_at
    assert datetime.fromisoformat(card["trained_at"]) == known.trained_at
    assert card["trained_on"] == {"data_fingerprint": run["data_fingerprint"], "rows": run["training_rows"]}
    assert card["metrics"]["overall"]["mae"] == known.metrics["overall"]["mae"]
    assert card["metrics"]["four_cs"]["mae"] == known.metrics["four_cs"]["mae"]
    assert set(card["metrics"]["segments"]) == {"carat", "cut", "color", "clarity"}
    assert card["params"].items() >= known.parameters.items()
    assert set(card["ranges"]) == {"carat", "depth", "table", "x", "y", "z"}
    assert 0 < card["ranges"]["carat"]["min"] < card["ranges"]["carat"]["max"] < 6


def test_the_champion_is_told_of_without_any_database(champion, monkeypatch):
    monkeypatch.setenv("DIAMONDS_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/nothing")

    assert get("/champion", champion).json()["version"] == champion.pricer.version


def test_without_a_champion_there_is_none_to_tell_of():
    answer = get("/champion")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "request_id"}


def remember(database, monkeypatch):
    """Let the pages read this database, in which two runs were made."""
    monkeypatch.setenv("DIAMONDS_DATABASE_URL", database.url.render_as_string(hide_password=False))
    for run_id in ("first", "second"):
        history.start_run(database, run_id, {}, {"seed": 1}, "c0de")
        history.record_model(database, run_id, "linear", metrics={"overall": {"mae": 500.0}}, artefact="somewhere")
        history.finish_run(database, run_id, history.SUCCEEDED)
    history.promote(database, "linear", "second", "it errs less", 0)


def test_the_history_is_read_newest_first_with_the_models_of_each_run(database, monkeypatch):
    remember(database, monkeypatch)

    runs = get("/history").json()["runs"]

    assert [run["id"] for run in runs] == ["second", "first"]
    (model,) = runs[0]["models"]
    assert (model["name"], model["version"], model["promoted"]) == ("linear", "second", True)
    assert model["metrics"]["overall"]["mae"] == 500.0
    assert datetime.fromisoformat(runs[0]["started_at"]).utcoffset().total_seconds() == 0


def test_the_history_can_be_limited_and_keeps_the_machine_to_itself(database, monkeypatch):
    remember(database, monkeypatch)

    answer = get("/history?limit=1").json()

    assert [run["id"] for run in answer["runs"]] == ["second"]
    assert {"process", "selection"}.isdisjoint(answer["runs"][0])
    assert "artefact" not in answer["runs"][0]["models"][0]


def test_the_history_is_strict_json_whatever_was_measured(tmp_path, monkeypatch):
    database = open_database(Settings(database_url=f"sqlite:///{tmp_path}/d.db"))
    migrate(database)
    remember(database, monkeypatch)
    immeasurable = {"overall": {"mae": float("nan"), "new": float("inf")}}
    history.record_model(database, "second", "median", metrics=immeasurable, parameters={"x": float("nan")})
    database.dispose()

    text = get("/history").text

    median = next(model for model in json.loads(text)["runs"][0]["models"] if model["name"] == "median")
    assert re.search(r"\b(NaN|Infinity)\b", text) is None
    assert (median["metrics"]["overall"]["mae"], median["metrics"]["overall"]["new"]) == (None, None)
    assert median["parameters"] == {"x": None}


@pytest.mark.parametrize(
    ("query", "field", "problem"),
    [
        ("limit=0", "limit", "must be greater than or equal to 1"),
        ("limit=1001", "limit", "must be less than or equal to 1000"),
        ("limit=many", "limit", "must be a valid integer, unable to parse string as an integer"),
        ("limit=1&limit=2", "limit", "is given more than once"),
        ("limt=1", "limt", "is not a known field; did you mean limit?"),
    ],
)
def test_a_history_that_cannot_be_meant_is_refused_in_plain_words(query, field, problem):
    answer = get(f"/history?{query}")

    assert answer.status_code == 422
    assert answer.json()["title"] == "The history cannot be shown like this"
    assert [(error["field"], error["problem"]) for error in answer.json()["errors"]] == [(field, problem)]


def test_a_history_whose_database_is_away_is_503(monkeypatch):
    monkeypatch.setenv("DIAMONDS_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/nothing")

    answer = get("/history")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["title"] == "The history cannot be read now: the database is away"


def test_what_is_read_of_the_api_is_logged_and_pages_are_not(served, trained):
    for path in ("/", "/docs", "/docs.json", "/static/style.css"):
        read(served, path)
    asked = {json.loads(read(served, path)[2])["request_id"] for path in ("/champion", "/history?limit=1")}

    logged = {}
    deadline = time.monotonic() + 30
    while not asked <= set(logged) and time.monotonic() < deadline:
        with closing(sqlite3.connect(trained.folder / "data/diamonds.db")) as connection:
            logged = dict(connection.execute("SELECT request_id, path FROM traffic"))

    assert {logged[request_id] for request_id in asked} == {"/champion", "/history"}
    assert {"/", "/docs", "/docs.json", "/static/style.css"}.isdisjoint(logged.values())


def test_what_is_not_there_and_what_cannot_be_posted_are_problems(served):
    status, headers, _ = read(served, "/nothing")
    assert (status, headers["Content-Type"]) == (404, "application/problem+json")

    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{served.url}/champion", b"{}", timeout=30)  # noqa: S310
    with caught.value as answer:
        assert (answer.code, answer.headers["Content-Type"]) == (405, "application/problem+json")
        assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD"}
