import contextlib
import csv
import io
import json
import re
import signal
import sqlite3
import time

import pytest

from diamonds import models
from diamonds.store import history
from diamonds.store.database import migrate, open_database
from project import Project


def test_history_shows_each_run_with_its_models_and_metrics(trained):
    shown = trained.succeed("diamonds", "history")

    assert "succeeded, 53,940 rows, 23 quarantined" in shown
    assert "xgboost with MAE $2" in shown
    assert "became champion" in shown
    for model in models.available():
        assert model in shown


def test_history_as_json_is_the_same_for_programs(trained):
    (run,) = json.loads(trained.succeed("diamonds", "history", "--json", "--limit", "1"))

    assert run["outcome"] == "succeeded"
    assert {model["name"] for model in run["models"]} == set(models.available())
    assert run["models"][0]["metrics"]["overall"]["mae"] < 270


def test_history_can_be_narrowed_to_a_model_and_a_metric(trained):
    shown = trained.succeed("diamonds", "history", "--model", "linear", "--metric", "r2")

    rows = [line.split() for line in shown.splitlines()]
    assert ["model", "R²"] in rows
    assert [row[0] for row in rows if row[0] in models.available() and row[1] != "with"] == ["linear"]
    assert "MAE    " not in shown


def test_history_of_a_model_that_no_run_has_says_so(trained):
    refused = trained.run("diamonds", "history", "--model", "forest")

    assert (refused.returncode, refused.stderr) == (1, "diamonds: none of the latest 20 runs has a model forest\n")


def test_history_as_csv_is_a_row_for_each_model(trained):
    rows = list(csv.DictReader(io.StringIO(trained.succeed("diamonds", "history", "--csv"))))

    assert [row["model"] for row in rows] == ["xgboost", "hist_gradient_boosting", "linear", "median"]
    assert [row["promoted"] for row in rows] == ["True", "False", "False", "False"]
    assert float(rows[0]["mae"]) < 262
    assert 0.88 <= float(rows[0]["coverage"]) <= 0.92


def test_history_as_markdown_is_a_table_for_each_run(small_trained):
    shown = small_trained.succeed("diamonds", "history", "--markdown", "--metric", "mae").splitlines()

    assert shown[0].endswith("** succeeded, 3,000 rows, 0 quarantined")
    assert shown[3:5] == ["| model | MAE |  |", "| --- | --: | --- |"]
    assert re.fullmatch(r"\| xgboost \| \$3\d\d\.\d\d \| became champion \|", shown[5])
    assert len(shown[5:]) == len(models.available()) + 1


def test_comparing_two_runs_shows_what_differs_and_nothing_else(small_trained, classic):
    (small_trained.raw / "fresh.csv").write_text(classic.sample(500, random_state=8).to_csv(index=False))
    entries = small_trained.folder / "conf/base/parameters_models.yml"
    entries.write_text(entries.read_text().replace("linear: {}", "linear: {numbers: [carat]}"))
    small_trained.succeed("kedro", "run")
    second, first = (run["id"] for run in json.loads(small_trained.succeed("diamonds", "history", "--json")))

    differences = json.loads(small_trained.succeed("diamonds", "history", "compare", first, second, "--json"))
    shown = small_trained.succeed("diamonds", "history", "compare", first, second)

    assert differences["file fresh.csv"][0] is None
    assert differences["file fresh.csv"][1].startswith("500 rows, ")
    assert differences["rows_in"] == [3000, 3500]
    assert differences["linear parameter numbers"] == [["carat", "x"], ["carat"]]
    assert differences["linear mae (not comparable)"][0] != differences["linear mae (not comparable)"][1]
    assert "linear mae" not in differences
    assert [len(holdout) for holdout in differences["holdout"]] == [12, 12]
    assert not any("durations" in place for place in differences)
    assert "The holdouts differ or are not known: errors of different holdouts are not comparable.\n" in shown
    assert "file spring.csv" not in differences
    assert not any(place.startswith("parameter split") for place in differences)
    assert "linear parameter numbers" in shown
    assert small_trained.succeed("diamonds", "history", "compare", first, first) == "The two runs are alike.\n"


@pytest.fixture
def remembered(small):
    """Gives a project whose history has a run for each of these holdouts."""

    def with_runs(*holdouts):
        engine = open_database(small.settings)
        migrate(engine)
        for number, holdout in enumerate(holdouts):
            history.start_run(engine, f"r{number}", {}, {}, None)
            overall = {"mae": 500.0 - number, "r2": 0.9}
            history.record_model(engine, f"r{number}", "linear", metrics={"overall": overall}, holdout=holdout)
            history.finish_run(engine, f"r{number}", history.SUCCEEDED, durations={"linear.fit": 0.25})
        engine.dispose()
        return small

    return with_runs


def test_history_shows_the_holdouts_where_they_differ(remembered):
    project = remembered("ab" * 32, "cd" * 32, None)

    shown = project.succeed("diamonds", "history")

    heads = [line for line in shown.splitlines() if line.startswith("r")]
    assert heads == [
        "r2 succeeded, holdout not known",
        "r1 succeeded, holdout cdcdcdcdcdcd",
        "r0 succeeded, holdout abababababab",
    ]
    assert shown.endswith("The holdouts differ or are not known: errors of different holdouts are not comparable.\n")
    runs = json.loads(project.succeed("diamonds", "history", "--json"))
    assert [run["models"][0]["holdout"] for run in runs] == [None, "cd" * 32, "ab" * 32]
    assert runs[0]["durations"] == {"linear.fit": 0.25}
    assert {"holdout", "gain"} <= set(runs[0])


def test_history_says_nothing_of_the_holdout_where_all_runs_have_the_same(remembered):
    project = remembered("ab" * 32, "ab" * 32)

    assert "holdout" not in project.succeed("diamonds", "history")
    assert project.succeed("diamonds", "history", "compare", "r0", "r1").split() == [
        *("r0", "r1", "linear", "mae", "500", "499"),
    ]


def test_the_plot_is_one_file_that_needs_no_network(remembered):
    project = remembered("ab" * 32, "cd" * 32)

    said = project.succeed("diamonds", "history", "plot")

    assert said == "data/08_reporting/history.html\n"
    page = (project.folder / said.strip()).read_text()
    assert "plotly.js v" in page
    assert not re.search(r"<(script|link)[^>]*(src|href)=", page)
    assert all(title in page for title in ("MAE, USD", "RMSE, USD", "MAPE, %", "Coverage, %", "Band width, %"))


def test_the_plot_can_be_narrowed_and_put_elsewhere(remembered):
    project = remembered("ab" * 32, "ab" * 32)

    said = project.succeed(
        "diamonds", "history", "plot", "--model", "linear", "--metric", "r2", "--limit", "1", "--output", "new/r2.html"
    )

    page = (project.folder / "new/r2.html").read_text()
    assert said == "new/r2.html\n"
    assert "MAE, USD" not in page
    assert "run r1" in page
    assert "run r0" not in page


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "forest"], "diamonds: nothing to draw: no run judged a model forest\n"),
        (["--output", "pyproject.toml/x.html"], "diamonds: pyproject.toml/x.html cannot be written: "),
    ],
)
def test_what_cannot_be_drawn_is_said_in_one_line(remembered, words, message):
    done = remembered("ab" * 32).run("diamonds", "history", "plot", *words)

    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


def test_comparing_with_a_run_that_is_none_says_so(small_trained):
    done = small_trained.run("diamonds", "history", "compare", "yesterday", "today")

    assert (done.returncode, done.stderr) == (1, "diamonds: there is no run yesterday: see `diamonds history`\n")


def test_champion_shows_which_model_serves_since_when_and_why(trained):
    shown = trained.succeed("diamonds", "champion")
    facts = json.loads(trained.succeed("diamonds", "champion", "--json"))

    assert facts["version"] in shown
    assert facts["reason"] in shown
    assert facts["name"] == "xgboost"
    assert facts["promoted_at"].endswith("+00:00")


def test_without_a_champion_one_line_says_what_to_do(small):
    done = small.run("diamonds", "champion")

    assert done.returncode == 1
    assert done.stderr == "diamonds: no champion yet: `kedro run` trains and chooses one\n"
    assert done.stdout == ""
    assert small.succeed("diamonds", "history") == "No run yet: `kedro run` makes the first.\n"


def test_migrate_says_what_it_did(small):
    assert small.succeed("diamonds", "migrate") == "Migrated from nothing to 0007.\n"
    assert small.succeed("diamonds", "migrate") == "The tables are at revision 0007.\n"


@pytest.mark.parametrize("words", [("histori",), ("history", "--limit", "0"), ("history", "--colour")])
def test_wrong_usage_is_status_two(small, words):
    assert small.run("diamonds", *words).returncode == 2


def test_a_database_that_is_away_is_one_line_and_status_one(small):
    done = small.run("diamonds", "history", DIAMONDS_DATABASE_URL="postgresql+psycopg://nobody@127.0.0.1:1/nothing")

    assert done.returncode == 1
    assert done.stderr.startswith(
        "diamonds: the database postgresql+psycopg://nobody@127.0.0.1:1/nothing cannot be reached"
    )
    assert "Traceback" not in done.stderr


def test_a_champion_set_by_hand_is_a_new_entry_with_its_reason_and_serves(small_trained):
    version = json.loads(small_trained.succeed("diamonds", "champion", "--json"))["version"]

    said = small_trained.succeed(
        "diamonds", "champion", "set", "linear", version, "--reason", "it is easier to explain"
    )

    assert said == f"linear {version} is champion: it is easier to explain.\n"
    champion = json.loads(small_trained.succeed("diamonds", "champion", "--json"))
    assert (champion["name"], champion["reason"], champion["promotion_id"]) == ("linear", "it is easier to explain", 2)
    assert (small_trained.folder / "bentoml/models/diamonds/latest").read_text().startswith("linear-")


def test_a_rollback_puts_the_earlier_champion_back_as_a_new_entry(small_trained):
    first = json.loads(small_trained.succeed("diamonds", "champion", "--json"))
    small_trained.succeed("diamonds", "champion", "set", "linear", first["version"], "--reason", "a try")

    small_trained.succeed("diamonds", "rollback", first["version"], "--reason", "it priced too low")

    champion = json.loads(small_trained.succeed("diamonds", "champion", "--json"))
    assert (champion["name"], champion["reason"], champion["promotion_id"]) == (first["name"], "it priced too low", 3)
    assert champion["metrics"] == first["metrics"]
    latest = (small_trained.folder / "bentoml/models/diamonds/latest").read_text()
    assert latest.startswith(f"{first['name']}-")
    assert latest.endswith("-3")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("rollback", "yesterday"), "no earlier champion has the version yesterday; earlier champions: none"),
        (
            ("champion", "set", "linear", "yesterday", "--reason", "x"),
            "no run yesterday trained a model linear: see `diamonds history`",
        ),
        (("champion", "set", "forest", "{version}", "--reason", "x"), "trained a model forest: see `diamonds history`"),
        (("champion", "set", "xgboost", "{version}", "--reason", "x"), "is champion already"),
    ],
)
def test_what_cannot_be_promoted_is_said_in_one_line_and_changes_nothing(small_trained, words, message):
    before = small_trained.succeed("diamonds", "champion", "--json")
    version = json.loads(before)["version"]

    done = small_trained.run("diamonds", *(word.format(version=version) for word in words))

    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert small_trained.succeed("diamonds", "champion", "--json") == before


def test_a_damaged_model_is_not_promoted(small_trained):
    before = small_trained.succeed("diamonds", "champion", "--json")
    version = json.loads(before)["version"]
    part = small_trained.folder / f"data/06_models/linear_pricer/{version}/linear_pricer/pricer.json"
    part.write_bytes(part.read_bytes() + b" ")

    done = small_trained.run("diamonds", "champion", "set", "linear", version, "--reason", "x")

    assert done.returncode == 1
    assert "pricer.json was changed after it was saved" in done.stderr
    assert small_trained.succeed("diamonds", "champion", "--json") == before


def test_a_bento_store_that_cannot_be_written_says_what_is_left_to_do(small_trained):
    (run,) = json.loads(small_trained.succeed("diamonds", "history", "--json"))
    (small_trained.folder / "file").touch()
    words = ("diamonds", "champion", "set", "linear", run["id"], "--reason", "a test")

    failed = small_trained.run(*words, BENTOML_HOME=str(small_trained.folder / "file"))

    assert failed.returncode == 1
    assert failed.stderr.startswith(
        f"diamonds: linear {run['id']} is champion in the database, but the Bento model store"
    )
    assert failed.stderr.endswith("`kedro run --nodes=packaging.package` does what is left\n")
    small_trained.succeed("kedro", "run", "--nodes=packaging.package")
    store = small_trained.folder / "bentoml/models/diamonds"
    assert (store / "latest").read_text().startswith("linear-")


def test_tune_searches_and_the_next_run_starts_from_what_it_found(small):
    shown = small.succeed("diamonds", "tune", "xgboost", "--trials", "3", "--n-jobs", "1")

    assert "is the best cross-validated MAE of 3 trials, by" in shown
    assert "  learning_rate: 0." in shown
    second = json.loads(small.succeed("diamonds", "tune", "xgboost", "--trials", "1", "--json"))
    assert len(second["trials"]) == 4
    done = small.run("kedro", "run")
    assert "xgboost: 5 trials" in done.stderr
    assert "4 from before" in done.stderr


def test_ctrl_c_ends_a_search_and_shows_the_best_so_far(small):
    with small.start("diamonds", "tune", "xgboost", "--trials", "100000", "--json") as search:
        wait_for_trials(small, 3)
        search.send_signal(signal.SIGINT)
        found = json.loads(search.stdout.read())
        assert search.wait(30) == 0

    ended = [trial for trial in found["trials"] if trial["state"] == "COMPLETE"]
    assert len(ended) >= 2
    assert found["cross_validated_mae"] == min(trial["mae"] for trial in ended)


def wait_for_trials(project, count):
    """Until the project's newest study has so many trials; a file that another process writes has no event."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(sqlite3.OperationalError):  # the file, or its tables, are not made yet
            studies = sqlite3.connect(f"file:{project.folder}/data/diamonds.db.optuna?mode=ro", uri=True)
            with contextlib.closing(studies):
                if studies.execute("SELECT count(*) FROM trials").fetchone()[0] >= count:
                    return
        time.sleep(0.05)
    raise AssertionError("the search made no trials")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("linear", "linear has no search space: src/diamonds/models/linear.py declares no `suggest`"),
        ("forest", "there is no model 'forest'; there are"),
    ],
)
def test_tune_refuses_what_cannot_be_tuned(small, model, message):
    refused = small.run("diamonds", "tune", model, "--trials", "1")

    assert refused.returncode == 1
    assert refused.stderr.startswith(f"diamonds: {message}")


def test_tune_outside_a_project_says_so(small, tmp_path):
    refused = Project(tmp_path).run(
        "diamonds", "tune", "xgboost", "--trials", "1", PYTHONPATH=str(small.folder / "src")
    )

    assert (refused.returncode, refused.stderr) == (
        1, f"diamonds: there is no project in {tmp_path}: run this where `kedro run` is run\n",
    )  # fmt: skip
