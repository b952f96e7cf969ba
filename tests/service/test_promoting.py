"""Who may make a model champion on the pages, what comes of it, and what they then tell."""

import asyncio
import re

import pytest

from diamonds.service import pages, promoting
from diamonds.service.champion import LoadedChampion
from diamonds.service.wording import metric
from diamonds.store import history
from project import memory
from reading import get, post, read_by_pages
from remembered import HERE, METRICS, PAGE, SCRIPT, crown, remember, text_of


@pytest.fixture
def database(tmp_path, monkeypatch):
    with read_by_pages(tmp_path, monkeypatch) as engine:
        yield engine


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
