"""The page of models: what it says is what the history knows."""

import copy
import html
import json
import re
import socket

import pytest

from diamonds.service.models_page import changes
from diamonds.service.weaknesses import weaknesses
from diamonds.service.wording import metric
from diamonds.store import history
from reading import get, read_by_pages
from remembered import BEGAN, METRICS, OVERALL, PAGE, SCRIPT, SEGMENTS, crown, erring, remember, text_of


@pytest.fixture
def database(tmp_path, monkeypatch):
    with read_by_pages(tmp_path, monkeypatch) as engine:
        yield engine


def test_the_champion_is_told_of_in_numbers_that_people_read(database):
    run_id = remember(
        database, 0, {"xgboost": METRICS}, files=[{"name": "spring.csv", "rows": 1, "bytes": 1, "sha256": "ab" * 32}]
    )
    crown(database, "xgboost", run_id, "xgboost with MAE $256.67 is the first champion")

    page = text_of(get("/models"))

    assert "42,997 stones of spring.csv" in page
    assert "xgboost with MAE $256.67 is the first champion." in page
    for value, bare in (
        ("$257", "$297"),
        ("5.7 %", "8.8 %"),
        ("0.984", "0.984"),
        ("90.3 %", "90.3 %"),
        ("−$20", "−$20"),
    ):
        assert f"{value} {bare}" in page


def test_each_number_of_the_leaderboard_is_the_historys(database):
    remember(database, 0, {"xgboost": METRICS, "median": erring(2869.4), "linear": f"singular {SCRIPT}"})

    page = text_of(get("/models"))

    numbers = " ".join(metric(OVERALL[name], name) for name in ("mae", "mape", "r2", "coverage", "width"))
    assert f"xgboost {numbers}" in page
    assert "median $2,869" in page
    assert "the floor to beat" in page
    assert f"linear failed: singular {SCRIPT}" in page


def test_the_leaderboard_is_of_the_newest_run_that_was_judged(database):
    remember(database, 0, {"linear": erring(600.0)})
    remember(database, 1, {"linear": "singular"}, outcome=history.FAILED)

    page = text_of(get("/models"))

    assert "The newest run that was judged: 27 Nov 2026, 01:05 UTC" in page
    assert "linear $600" in page


def test_what_is_weak_is_said_in_sentences_from_the_metrics_the_worst_first():
    assert weaknesses(METRICS, 0.9) == [
        (
            "Stones of cut Fair: prices are off by 10.2 % on average, 1.8 times the usual 5.7 %; the 90 % band holds"
            " only 74.5 % of prices (329 judged)."
        ),
        "Stones of 2 ct and more: prices are off by 8.9 % on average, 1.6 times the usual 5.7 % (442 judged).",
        "Without measurements, prices are off by 8.8 % on average, not 5.7 %.",
    ]


def test_nothing_is_called_weak_by_chance_or_without_metrics():
    few = {"overall": OVERALL, "segments": {"cut": {"Fair": {"stones": 100, **OVERALL, "coverage": 0.84}}}}

    assert weaknesses(few, 0.9) == []
    assert weaknesses({}, 0.9) == []
    assert weaknesses({"overall": {"mape": float("nan")}, "segments": SEGMENTS}, 0.9) == []


def test_before_the_first_run_the_page_says_what_to_do(database):
    answer = get("/models")

    assert answer.status_code == 200
    assert "No run yet: kedro run trains the models" in text_of(answer)


def test_without_a_champion_the_runs_are_shown_all_the_same(database):
    remember(database, 0, {"linear": erring(600.0)})

    page = text_of(get("/models"))

    assert "None yet: no run has chosen one." in page
    assert "linear $600" in page


def test_a_champion_that_the_service_has_not_loaded_is_said_to_be_none(database):
    crown(database, "linear", remember(database, 0, {"linear": METRICS}))

    assert "No champion is loaded yet: train one with `kedro run`" in text_of(get("/models"))


@pytest.mark.parametrize("path", ["/models", "/models/run-0"])
def test_a_page_whose_database_is_away_says_so(path, monkeypatch):
    monkeypatch.setenv("DIAMONDS_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/nothing")

    answer = get(path, headers=PAGE)

    assert (answer.status_code, answer.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert "The history cannot be read now: the database is away" in answer.text


def test_failed_interrupted_and_running_runs_are_shown_as_such(database):
    remember(database, 0, {}, outcome=history.FAILED, error="no CSV file")
    remember(database, 1, {}, outcome=history.RUNNING, process=f"{socket.gethostname()}:999999999")
    remember(database, 2, {}, outcome=history.RUNNING)

    assert "interrupted the process ended before the run did" in text_of(get("/models/run-1"))
    page = get("/models").text

    assert re.findall(r'class="outcome (\w+)"', page) == ["running", "interrupted", "failed"]
    assert "no CSV file" in page
    assert "it is still running" in text_of(get("/models/run-2"))
    assert "no CSV file" in text_of(get("/models/run-0"))


def test_runs_are_told_newest_first_with_what_was_decided(database):
    crown(database, "xgboost", remember(database, 0, {"xgboost": METRICS}))
    gain = {"gain": -0.012, "low": -0.02, "high": -0.004, "sureness": 0.0}
    remember(database, 1, {"xgboost": erring(259.7)}, gain=gain, decision="does not beat it")

    page = text_of(get("/models"))

    rows = page[page.index("when outcome") :]
    assert "28 Nov 2026, 01:05 UTC succeeded xgboost $260 no change: −1.2 % 53,940 23" in rows
    assert "27 Nov 2026, 01:05 UTC succeeded xgboost $257 ★ xgboost became champion 53,940 23" in rows
    assert rows.index("28 Nov") < rows.index("27 Nov")


def test_errors_of_other_stones_are_kept_apart(database):
    for number, holdout in enumerate(["h1", "h1", "h1", "h2", None, None]):
        remember(database, number, {"linear": erring(600.0)} if number != 1 else {}, holdout=holdout)
    runs = history.runs(database)

    page = get("/models").text

    assert changes(runs) == {"run-5", "run-4", "run-3"}
    assert page.count('class="other-stones"') == 3
    assert "errors above and below do not compare" in page


def course(page):
    return json.loads(re.search(r'id="course-data">(.*?)</script>', page, re.DOTALL).group(1))


def test_what_is_drawn_is_the_history_the_oldest_run_first_and_no_more(database):
    remember(database, 0, {"linear": erring(612.3456), "xgboost": erring(300.0)})
    crown(
        database,
        "xgboost",
        remember(database, 1, {"xgboost": erring(256.67), "linear": erring(float("nan"))}, holdout="h2"),
    )

    drawn = course(get("/models").text)

    assert drawn["runs"] == [["run-0", BEGAN.timestamp() * 1000], ["run-1", (BEGAN.timestamp() + 86_400) * 1000]]
    assert list(drawn["models"]) == ["xgboost", "linear"], "the best of the newest run is drawn in the first color"
    assert drawn["models"]["linear"]["mae"] == [612.35, None]
    assert drawn["models"]["xgboost"]["holdouts"] == [0, 1]
    assert drawn["models"]["xgboost"]["promoted"] == [0, 1]
    assert set(drawn["models"]["linear"]) == {"at", "holdouts", "promoted", *OVERALL}


def test_a_hundred_runs_of_four_models_stay_a_light_page(database):
    for number in range(100):
        models = {name: copy.deepcopy(METRICS) for name in ("xgboost", "linear", "median", "hist_gradient_boosting")}
        remember(database, number, models, decision=f"xgboost with MAE $256.67 is no better {'than that ' * 20}")

    page = get("/models").text

    assert len(course(page)["runs"]) == 100
    assert len(page) < 80_000


def test_older_runs_are_left_out_until_they_are_asked_for(database):
    for number in range(3):
        remember(database, number, {"linear": erring(600.0)})

    page = text_of(get("/models?limit=2"))

    assert "The newest first, 2 of them: show up to 1,000" in page
    assert "27 Nov 2026" not in page
    assert get("/models?limit=0", headers=PAGE).status_code == 422


def test_nothing_that_somebody_else_wrote_is_read_as_a_page(database):
    files = [{"name": SCRIPT, "rows": 1, "bytes": 1, "sha256": "ab" * 32}]
    run_id = remember(database, 0, {"linear": METRICS, "xgboost": SCRIPT}, files=files, decision=SCRIPT, error=SCRIPT)
    crown(database, "linear", run_id, SCRIPT)
    crown(database, "linear", remember(database, 1, {"linear": METRICS}, decision=SCRIPT))

    for path in ("/models", f"/models/{run_id}", "/models/run-1"):
        page = get(path)
        assert SCRIPT not in page.text
        assert html.escape(SCRIPT) in page.text
        assert re.findall(r" style=| on[a-z]+=|javascript:", page.text) == []
