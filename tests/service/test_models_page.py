"""The pages of models and runs: what they say is what the history knows, and who may promote a model there."""

import asyncio
import copy
import html
import json
import re
import shutil
import socket
from datetime import UTC, datetime, timedelta

import pytest

from diamonds.config import Settings
from diamonds.service import pages, promoting
from diamonds.service.artefacts import figure_file, quarantined
from diamonds.service.champion import LoadedChampion
from diamonds.service.models_page import changes
from diamonds.service.weaknesses import weaknesses
from diamonds.service.wording import metric
from diamonds.store import history
from diamonds.store.database import migrate, open_database
from project import memory
from reading import get, post

BEGAN = datetime(2026, 11, 27, 1, 5, tzinfo=UTC)
OVERALL = {
    "mae": 256.67,
    "rmse": 513.7,
    "mape": 0.0571,
    "bias": -19.5,
    "r2": 0.98394,
    "coverage": 0.903,
    "width": 0.2566,
}
SEGMENTS = {
    "carat": {"0-0.5": {"stones": 3447, **OVERALL, "mape": 0.046}, "2+": {"stones": 442, **OVERALL, "mape": 0.0893}},
    "cut": {
        "Fair": {"stones": 329, **OVERALL, "mape": 0.1025, "coverage": 0.745},
        "Ideal": {"stones": 4344, **OVERALL},
    },
    "color": {"J": {"stones": 12, **OVERALL, "mape": 0.4, "coverage": 0.1}},
}
METRICS = {
    "stones": 10_775,
    "overall": OVERALL,
    "four_cs": {**OVERALL, "mae": 296.8, "mape": 0.088},
    "segments": SEGMENTS,
}
PAGE = {"Accept": "text/html"}
HERE = {"Host": "127.0.0.1"}
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def database(tmp_path, monkeypatch):
    """An empty database that the pages read, in a folder where no run has left anything."""
    url = f"sqlite:///{tmp_path}/d.db"
    monkeypatch.setenv("DIAMONDS_DATABASE_URL", url)
    monkeypatch.chdir(tmp_path)
    engine = open_database(Settings(database_url=url))
    migrate(engine)
    yield engine
    engine.dispose()


def remember(database, number, models, *, holdout="h1", outcome=history.SUCCEEDED, **values):
    """Enter a run, the `number`th of its days, with metrics (or an error) of each model."""
    run_id = f"run-{number}"
    history.start_run(database, run_id, {}, {"seed": number, "calibration": {"confidence": 0.9}}, "c0de" * 10)
    counts = {"rows_in": 53_940, "quarantined": 23, "duplicates": 145, "training_rows": 42_997, "holdout_rows": 10_775}
    began = BEGAN + timedelta(days=number)
    history.update_run(database, run_id, **counts | {"started_at": began, "holdout": holdout} | values)
    for name, its in models.items():
        found = (
            {"error": its} if isinstance(its, str) else {"metrics": its, "holdout": holdout, "artefact": "somewhere"}
        )
        history.record_model(database, run_id, name, parameters={"depth": 7}, **found)
    if outcome != history.RUNNING:
        history.finish_run(database, run_id, outcome, values.get("error"), {"xgboost.fit": 2.9, "split": 0.001})
    return run_id


def erring(mae, **overall):
    return {"stones": 100, "overall": {**OVERALL, "mae": mae, **overall}}


def crown(database, model, run_id, reason="it errs less"):
    present = history.champion(database)
    history.promote(database, model, run_id, reason, present.promotion_id if present else 0)


def text_of(answer):
    """What a person reads of a page, in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


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


def test_a_run_is_told_of_as_the_history_knows_it(database):
    files = [{"name": "spring.csv", "rows": 53_940, "bytes": 2_571_905, "sha256": "0e7164799468" + "0" * 52}]
    gain = {"gain": 0.023, "low": 0.011, "high": 0.035, "sureness": 0.98}
    remember(database, 0, {"xgboost": METRICS}, files=files, gain=gain, decision="xgboost beats the champion")

    page = text_of(get("/models/run-0"))

    assert "xgboost beats the champion." in page
    assert "its best model errs by 2.3 % less than the champion before" in page
    assert "between +1.1 % and +3.5 %; in 98 of 100 resamples" in page
    assert "spring.csv 53,940 2.5 MiB 0e7164799468" in page
    assert "Rows read 53,940 Refused, and kept aside 23 The same stone again 145 To learn from 42,997" in page
    assert "c0dec0dec0de" in page
    assert "xgboost.fit 2.9 s" in page
    assert "depth 7" in page
    assert "0 to 0.5 ct 4.6 % $257 90.3 % 3,447" in page
    assert "Fair 10.2 % $257 74.5 % 329" in page


def test_what_differs_from_the_run_before_is_listed(database):
    remember(database, 0, {"linear": erring(600.0)})
    remember(database, 1, {"linear": erring(590.0)}, quarantined=24)
    expected = history.differences(history.run(database, "run-0"), history.run(database, "run-1"))

    page = text_of(get("/models/run-1"))

    assert expected == {"quarantined": (23, 24), "parameter seed": (0, 1), "linear mae": (600.0, 590.0)}
    for row in ("quarantined 23 24", "parameter seed 0 1", "linear mae 600 590"):
        assert row in page
    assert "What differs" not in text_of(get("/models/run-0")), "there is no run before the first"


def test_metrics_of_other_stones_are_marked_as_not_comparable(database):
    remember(database, 0, {"linear": erring(600.0)})
    remember(database, 1, {"linear": erring(590.0)}, holdout="h2")

    page = text_of(get("/models/run-1"))

    assert "linear mae (not comparable) 600 590" in page
    assert "their errors do not compare" in page


def test_an_unknown_run_is_404_in_words(database):
    answer = get("/models/none", headers=PAGE)

    assert answer.status_code == 404
    assert "<h1>There is no run none</h1>" in answer.text


def test_what_a_run_left_elsewhere_is_said_to_be_elsewhere(database):
    remember(database, 0, {"linear": METRICS})

    page = text_of(get("/models/run-0"))

    assert "in data/08_reporting : they are not on this machine" in page
    assert "in data/02_intermediate/quarantine.csv : not on this machine" in page


def leave(folder, run_id, rows=60):
    """Leave on disk what a run leaves."""
    figure = folder / f"data/08_reporting/linear_importances.json/{run_id}/linear_importances.json"
    refused = folder / f"data/02_intermediate/quarantine.csv/{run_id}/quarantine.csv"
    for file in (figure, refused):
        file.parent.mkdir(parents=True)
    figure.write_text('{"data": [], "layout": {}}')
    lines = [f"{SCRIPT}.csv,{number},\"z must be more than 0, got '{number}'\",1.0" for number in range(rows)]
    refused.write_text("\n".join(["file,line,reason,carat", *lines]))


def test_the_first_refused_rows_are_shown_with_their_reasons(database, tmp_path):
    leave(tmp_path, remember(database, 0, {"linear": METRICS}, quarantined=60))

    page = get("/models/run-0")

    assert "The first 50 of 60" in text_of(page)
    assert f"{SCRIPT}.csv 49 z must be more than 0, got '49'" in text_of(page)
    assert "got &#39;50&#39;" not in page.text
    assert SCRIPT not in page.text


def test_a_figure_is_the_file_that_the_run_wrote(database, tmp_path):
    leave(tmp_path, remember(database, 0, {"linear": METRICS}))

    page, figure = get("/models/run-0").text, get("/models/run-0/linear/importances.json")

    assert re.findall(r'data-url="([^"]+)"', page) == ["run-0/linear/importances.json"]
    assert (figure.status_code, figure.headers["content-type"]) == (200, "application/json")
    assert figure.json() == {"data": [], "layout": {}}


@pytest.mark.parametrize(
    "path",
    [
        "run-0/linear/metrics.json",
        "run-0/linear/search_history.json",
        "run-0/median/importances.json",
        "run-1/linear/importances.json",
        "..%2F..%2Fsecret/linear/importances.json",
        "../linear/importances.json",
        "%2e%2e/linear/importances.json",
        "./linear/importances.json",
        "run-0/..%2F..%2F..%2Fsecret/importances.json",
        "run-0/linear/..%2F..%2Fsecret.json",
        "run-0/linear%00/importances.json",
        "run-0%0A/linear/importances.json",
    ],
)
def test_no_path_leads_to_another_file(database, tmp_path, path):
    leave(tmp_path, remember(database, 0, {"linear": METRICS}))
    (tmp_path / "secret").mkdir()
    (tmp_path / "data/08_reporting/linear_importances.json/linear_importances.json").write_text("{}")
    metrics = tmp_path / "data/08_reporting/linear_metrics.json/run-0/linear_metrics.json"
    metrics.parent.mkdir(parents=True)
    metrics.write_text("{}")

    assert get(f"/models/{path}").status_code in {404, 405}


@pytest.mark.parametrize(
    ("run_id", "model"), [(".", "linear"), ("..", "linear"), ("run-0/.", "linear"), ("", "linear")]
)
def test_no_name_leads_out_of_its_folder(tmp_path, run_id, model):
    leave(tmp_path, "run-0")
    shutil.copy(tmp_path / "data/08_reporting/linear_importances.json/run-0/linear_importances.json",
                tmp_path / "data/08_reporting/linear_importances.json/linear_importances.json")  # fmt: skip

    assert figure_file(tmp_path / "data", "run-0", "linear", "importances") is not None
    assert figure_file(tmp_path / "data", run_id, model, "importances") is None
    assert quarantined(tmp_path / "data", run_id) is None


def two_reigns(database):
    """The id of the second champion's promotion."""
    crown(database, "linear", remember(database, 0, {"linear": METRICS}))
    crown(database, "xgboost", remember(database, 1, {"xgboost": METRICS, "median": METRICS, "linear": "singular"}))
    return history.champion(database).promotion_id


def promoted_by_forms(page):
    return re.findall(r'name="model" value="(\w+)"><input type="hidden" name="version" value="([\w-]+)"', page)


def test_who_may_promote_has_a_form_for_each_model_that_can_be_and_others_have_none(database):
    two_reigns(database)

    assert promoted_by_forms(get("/models", headers=HERE).text) == [("linear", "run-0")]
    assert promoted_by_forms(get("/models/run-1", headers=HERE).text) == [("median", "run-1")]
    for path in ("/models", "/models/run-1"):
        stranger = get(path, client="192.0.2.1", headers=HERE).text
        assert promoted_by_forms(stranger) == []
        assert "Sign in" not in stranger, "there is no token to sign in with"


def test_who_may_sign_in_to_promote_is_led_there(database, monkeypatch):
    two_reigns(database)
    monkeypatch.setenv("DIAMONDS_ADMIN_TOKEN", "secret")

    for path, to in (("/models", "sign-in?to=models"), ("/models/run-1", "../sign-in?to=models/run-1")):
        assert f'href="{to}"' in get(path).text
        known = get(path, headers={"Authorization": "Bearer secret"}).text
        assert "Sign in" not in known
        assert len(promoted_by_forms(known)) == 1


def asked(seen, **changes):
    return {"model": "linear", "version": "run-0", "reason": "it was better", "seen": str(seen)} | changes


@pytest.mark.parametrize(
    ("token", "client", "headers", "status"),
    [
        (None, "127.0.0.1", {"Origin": "http://elsewhere.example"}, 403),
        (None, "127.0.0.1", {"Sec-Fetch-Site": "cross-site"}, 403),
        (None, "192.0.2.1", {}, 403),
        ("secret", "127.0.0.1", {}, 401),
        ("secret", "127.0.0.1", {"Authorization": "Bearer wrong"}, 401),
        ("secret", "127.0.0.1", {"Authorization": "Bearer secret", "Origin": "http://elsewhere.example"}, 403),
        ("secret", "127.0.0.1", {"Cookie": "diamonds_admin=secret"}, 401),
    ],
)
def test_who_may_not_promote_is_refused_and_nothing_changes(database, monkeypatch, token, client, headers, status):
    seen = two_reigns(database)
    if token:
        monkeypatch.setenv("DIAMONDS_ADMIN_TOKEN", token)

    answer = post("/models/promote", asked(seen), client=client, headers=headers)

    assert answer.status_code == status
    assert history.champion(database).promotion_id == seen


def test_a_browser_that_is_not_signed_in_is_led_to_the_sign_in(database, monkeypatch):
    seen = two_reigns(database)
    monkeypatch.setenv("DIAMONDS_ADMIN_TOKEN", "secret")

    answer = post("/models/promote", asked(seen), headers=PAGE)

    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?to=models%2Fpromote")
    assert get("/models/promote").headers["location"] == "/models"


@pytest.mark.parametrize(
    ("changes_", "status", "words"),
    [
        ({"model": "none"}, 404, "No run trained this model, or its training failed"),
        ({"version": "run-1"}, 404, "No run trained this model, or its training failed"),
        ({"model": "--help"}, 404, "No run trained this model, or its training failed"),
        ({"reason": " \0\n"}, 422, "Say why: the history keeps the reason"),
        ({"reason": "x" * 301}, 422, "must be at most 300 characters long"),
        ({"model": "xgboost", "version": "run-1"}, 409, "xgboost is champion already"),
        ({"seen": "1"}, 409, f"Meanwhile xgboost became champion: {SCRIPT}. Look again"),
    ],
)
def test_what_cannot_be_promoted_is_refused_in_words(database, changes_, status, words):
    crown(database, "linear", remember(database, 0, {"linear": METRICS}))
    crown(database, "xgboost", remember(database, 1, {"xgboost": METRICS, "linear": "singular"}), SCRIPT)
    seen = history.champion(database).promotion_id

    answer = post("/models/promote", asked(seen) | changes_, headers=PAGE)

    assert answer.status_code == status
    assert words in text_of(answer)
    assert SCRIPT not in answer.text
    assert history.champion(database).promotion_id == seen


ASKED = promoting.Promotion("linear", "run-0", "--json; rm -rf / $(x)", "1")


def program(folder, lines):
    """A program in place of the command."""
    file = folder / "diamonds"
    file.write_text(f"#!/bin/sh\n{lines}\n")
    file.chmod(0o755)
    return file


def test_the_command_is_called_without_a_shell_and_a_reason_is_never_an_option(tmp_path):
    told = asyncio.run(promoting.promote(program(tmp_path, f'printf "%s\\n" "$@" > {tmp_path}/words'), ASKED))

    words = ["champion", "set", "--reason=--json; rm -rf / $(x)", "--", "linear", "run-0"]
    assert told is None
    assert (tmp_path / "words").read_text().splitlines() == words


def test_why_the_command_failed_is_told_in_its_own_words(tmp_path):
    failing = program(tmp_path, 'echo "a warning" >&2; echo "diamonds: the pricer is damaged" >&2; exit 1')

    assert asyncio.run(promoting.promote(failing, ASKED)) == "the pricer is damaged"


def test_a_command_that_takes_too_long_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(promoting, "DEADLINE_SECONDS", 0.2)
    endless = program(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 600")

    told = asyncio.run(promoting.promote(endless, ASKED))

    assert told == promoting.LATE


def test_a_service_without_the_command_says_where_models_are_promoted(database, tmp_path, monkeypatch):
    seen = two_reigns(database)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))

    answer = post("/models/promote", asked(seen), headers=PAGE)

    assert answer.status_code == 501
    assert "This service only serves: it has no command `diamonds`" in text_of(answer)


@pytest.fixture
def project(small_trained, monkeypatch):
    """A trained project of the test's own, which the pages and the command work in."""
    for name in ("DIAMONDS_ADMIN_TOKEN", "DIAMONDS_SIGNING_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DIAMONDS_DATABASE_URL", small_trained.settings.database_url.get_secret_value())
    monkeypatch.setenv("BENTOML_HOME", str(small_trained.folder / "bentoml"))
    monkeypatch.chdir(small_trained.folder)
    return small_trained


def test_a_promotion_and_the_way_back_are_entries_of_the_history(project, monkeypatch):
    """In one answer where the command is quick enough; here it is waited for."""
    monkeypatch.setattr(pages, "SOON", 60)
    (run,), before = memory(project)

    for model in ("median", before.name):
        seen = memory(project)[1].promotion_id
        answer = post("/models/promote", asked(seen, model=model, version=run["id"], reason=f"try  {model}\n"))
        assert (answer.status_code, answer.headers["location"]) == (303, "/models?promoted=yes")
        champion = memory(project)[1]
        assert (champion.name, champion.version, champion.reason) == (model, run["id"], f"try {model}")
        assert (project.folder / "bentoml/models/diamonds/latest").read_text().startswith(f"{model}-")
        assert f"{model} of" in text_of(get("/models?promoted=yes"))


def test_a_promotion_that_takes_a_while_is_told_of_on_a_page_that_ends_with_it(project, monkeypatch):
    monkeypatch.setattr(pages, "SOON", 0)
    (run,), before = memory(project)

    answer = post("/models/promote", asked(before.promotion_id, model="median", version=run["id"]))

    assert answer.status_code == 200
    assert "Making median champion" in text_of(answer)
    assert '<meta http-equiv="refresh" content="0; url=../models?promoted=yes">' in answer.text
    assert memory(project)[1].name == "median"


@pytest.mark.parametrize("soon", [0, 60])
def test_a_promotion_that_fails_says_why_and_changes_nothing(project, monkeypatch, soon):
    monkeypatch.setattr(pages, "SOON", soon)
    (run,), before = memory(project)
    artefact = next(model["artefact"] for model in run["models"] if model["name"] == "median")
    (project.folder / artefact / "manifest.json").write_text("{}")

    answer = post("/models/promote", asked(before.promotion_id, model="median", version=run["id"]), headers=PAGE)

    assert answer.status_code == (409 if soon else 200)
    assert "median_pricer" in text_of(answer)
    assert "refresh" not in answer.text
    assert memory(project)[1] == before


def test_a_trained_project_is_told_of_as_its_history_and_its_files_know_it(project):
    (run,), champion = memory(project)
    folder = next(path for path in (project.folder / "bentoml/models/diamonds").iterdir() if path.is_dir())
    serving = LoadedChampion.of(folder)

    page, its_run = get("/models", serving), get(f"/models/{run['id']}", serving)

    for model in run["models"]:
        overall = model["metrics"]["overall"]
        for name in ("mae", "mape", "r2", "coverage", "width"):
            assert metric(overall[name], name) in text_of(page)
            assert metric(overall[name], name) in text_of(its_run)
    assert "Weight, ct 0.2" in text_of(page)
    assert f"Since {champion.promoted_at:%-d %b %Y, %H:%M} UTC" in text_of(page)
    figures = re.findall(r'data-url="[^"]+/(\w+)/(\w+)\.json"', its_run.text)
    assert {model for model, _ in figures} == {"median", "linear", "hist_gradient_boosting", "xgboost"}
    assert [figure for model, figure in figures if model == "xgboost"] == [
        "actual_against_predicted", "importances", "search_history", "search_importances", "search_parallel_coordinates",
    ]  # fmt: skip
