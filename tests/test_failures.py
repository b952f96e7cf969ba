"""What a run does where something is broken, unknown, gone or killed."""

import json
import shutil

from diamonds import models
from diamonds.pricer import load
from project import break_model, memory


def test_an_unusable_file_stops_the_run_before_anything_is_trained(small_trained):
    _, champion = memory(small_trained)
    before = sorted(
        path for path in (small_trained.folder / "data").rglob("*") if path.is_file() and "diamonds.db" not in path.name
    )
    (small_trained.raw / "broken.csv").write_text("carat,price\n1,2\n")

    failed = small_trained.run("kedro", "run")

    message = "broken.csv lacks the columns cut, color, clarity, depth, table, x, y, z"
    assert failed.returncode == 1
    assert message in failed.stderr
    assert "Nothing was trained: mend or remove it, then run again." in failed.stderr
    runs, still = memory(small_trained)
    assert still == champion
    assert (runs[0]["outcome"], runs[0]["models"]) == ("failed", [])
    assert message in runs[0]["error"]
    after = sorted(
        path for path in (small_trained.folder / "data").rglob("*") if path.is_file() and "diamonds.db" not in path.name
    )
    assert after == sorted([*before, small_trained.raw / "broken.csv"])


def test_a_killed_run_is_shown_as_interrupted_and_leaves_the_champion_as_it_was(small_trained):
    _, champion = memory(small_trained)
    with small_trained.start("kedro", "run") as run:
        assert any("held out" in line for line in run.stderr)  # the data is checked, the models are next
        run.kill()

    runs, still = memory(small_trained)

    assert still == champion
    assert [each["outcome"] for each in runs] == ["interrupted", "succeeded"]
    assert runs[0]["error"] == "the process ended before the run did"
    small_trained.succeed("kedro", "run", "--namespaces=linear")


def test_an_entry_without_a_model_stops_the_run_before_any_node(small):
    entries = small.folder / "conf/base/parameters_models.yml"
    entries.write_text(entries.read_text() + "\n  forest: {}\n")

    failed = small.run("kedro", "run")

    message = "parameters_models.yml names forest, but there is no such file in src/diamonds/models/"
    assert failed.returncode == 1
    assert message in failed.stderr
    assert not (small.folder / "data/02_intermediate").exists()
    ((run,), champion) = memory(small)
    assert (run["outcome"], run["models"], champion) == ("failed", [], None)
    assert message in run["error"]


def test_a_parameter_that_a_model_does_not_know_stops_the_run_before_any_node(small):
    entries = small.folder / "conf/base/parameters_models.yml"
    entries.write_text(entries.read_text().replace("linear: {}", "linear: {number: [carat]}"))

    failed = small.run("kedro", "run")

    assert failed.returncode == 1
    assert "Parameter 'models.linear'" in failed.stdout + failed.stderr
    assert "number" in failed.stdout + failed.stderr
    assert not (small.folder / "data/02_intermediate").exists()


def test_a_model_that_fails_is_a_row_with_its_error_and_the_others_go_on(small):
    break_model(small, "linear", "no column weight")

    done = small.run("kedro", "run")

    error = "ValueError: no column weight"
    assert done.returncode == 1
    assert f"linear failed: {error}" in done.stderr
    assert f"linear failed: {error}. The other models went on." in done.stderr
    (run,), champion = memory(small)
    assert (run["outcome"], run["error"]) == ("failed", f"linear failed: {error}")
    rows = {model["name"]: (model["error"], bool(model["metrics"]), bool(model["artefact"])) for model in run["models"]}
    assert rows.pop("linear") == (error, False, False)
    assert set(rows.values()) == {(None, True, True)}
    assert champion.name == "xgboost"
    assert run["decision"] == champion.reason
    assert "linear.fit" in run["durations"]
    assert "failed: ValueError" in small.succeed("diamonds", "history")
    assert not (small.folder / "data/06_models/linear_pricer").exists()
    leaderboard = json.loads(small.newest("08_reporting/leaderboard.json").read_text())
    assert "linear" not in [row["model"] for row in leaderboard]


def test_a_model_that_cannot_be_saved_or_searched_for_fails_alone(small):
    """Its files could not be loaded again; and the file of the studies is none."""
    linear = small.folder / "src/diamonds/models/linear.py"
    linear.write_text(linear.read_text().replace("def to_json(estimator", "def to_json(more, estimator"))
    (small.folder / "data").mkdir(exist_ok=True)
    (small.folder / "data/diamonds.db.optuna").write_bytes(b"no database, " * 1000)

    assert small.run("kedro", "run").returncode == 1

    (run,), champion = memory(small)
    errors_of = {model["name"]: model["error"] for model in run["models"] if model["error"]}
    assert errors_of.keys() == {"linear", "xgboost"}
    assert "missing 1 required positional argument" in errors_of["linear"]
    assert "file is not a database" in errors_of["xgboost"]
    assert champion.name == "hist_gradient_boosting"


def test_a_run_in_which_every_model_fails_promotes_none_and_says_so(small):
    for name in models.available():
        break_model(small, name, "no")

    done = small.run("kedro", "run")

    assert done.returncode == 1
    assert "no model could be trained and judged: see each model's error in `diamonds history`" in done.stderr
    (run,), champion = memory(small)
    assert {model["error"] for model in run["models"]} == {"ValueError: no"}
    assert (run["outcome"], champion) == ("failed", None)


def test_a_champion_whose_files_are_gone_is_replaced_by_the_next_run(small_trained):
    _, before = memory(small_trained)
    shutil.rmtree(small_trained.folder / before.artefact)

    small_trained.succeed("kedro", "run")

    _, champion = memory(small_trained)
    assert champion.version > before.version
    assert "the champion cannot be loaded, there is no saved pricer at" in champion.reason


def test_a_bento_store_that_was_emptied_is_filled_again(small_trained):
    shutil.rmtree(small_trained.folder / "bentoml")

    small_trained.succeed("kedro", "run", "--pipelines=packaging")

    _, champion = memory(small_trained)
    store = small_trained.folder / "bentoml/models/diamonds"
    assert load(store / (store / "latest").read_text()).version == champion.version


def test_a_database_that_is_away_stops_the_run_before_anything_is_done(small):
    failed = small.run(
        "kedro", "run", DIAMONDS_DATABASE_URL="postgresql+psycopg://francesco:secret@127.0.0.1:1/diamonds"
    )

    assert failed.returncode == 1
    assert "127.0.0.1:1/diamonds cannot be reached" in failed.stderr
    assert "secret" not in failed.stderr
    assert not (small.folder / "data/02_intermediate").exists()
