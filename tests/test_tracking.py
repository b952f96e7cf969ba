"""What MLflow is told about runs, and that no run depends on it."""

import json
import logging
import os
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime

import pytest

from diamonds.config import read_settings
from diamonds.store import history
from diamonds.store.database import migrate, open_database
from diamonds.tracking import hook
from diamonds.tracking.entries import entries_of
from project import break_model, make_project, quick

NO_ONE = "http://someone:secret@127.0.0.1:1"


@pytest.fixture(scope="module")
def told(tmp_path_factory, stones):
    """Two runs, in the words of the history and of MLflow: one of all models, then one whose only model fails."""
    project = quick(make_project(tmp_path_factory.mktemp("tracked"), {"spring.csv": stones.to_csv(index=False)}))
    store = {"MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"}
    project.succeed("kedro", "run", **store)
    break_model(project, "linear", "no column weight")
    assert project.run("kedro", "run", "--namespaces=linear", **store).returncode == 1
    failed, good = runs_of(project)
    return good, failed, runs_in(project.folder / "mlflow.db")


def runs_of(project):
    engine = open_database(project.settings)
    try:
        return history.runs(engine, limit=10)
    finally:
        engine.dispose()


def runs_in(store):
    """What MLflow keeps in its tables, by the run of Kedro and the name; its client takes seconds to import."""
    with closing(sqlite3.connect(store)) as database:
        (experiment,) = database.execute("SELECT experiment_id FROM experiments WHERE name = 'diamonds'").fetchall()
        rows = database.execute("SELECT run_uuid, name, status FROM runs WHERE experiment_id = ?", experiment)
        runs = {run_id: {"id": run_id, "name": name, "status": status} for run_id, name, status in rows}
        for table in ("params", "metrics", "tags"):
            for run_id, key, value in database.execute(f"SELECT run_uuid, key, value FROM {table}"):  # noqa: S608
                runs[run_id].setdefault(table, {})[key] = value
    return {(run["tags"]["kedro_run_id"], run["name"]): run for run in runs.values()}


@pytest.fixture
def a_run(tmp_path, monkeypatch) -> str:
    """The id of a run in a history of its own, which MLflow is asked to be told of."""
    monkeypatch.setenv("DIAMONDS_DATABASE_URL", f"sqlite:///{tmp_path}/diamonds.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NO_ONE)
    engine = open_database(read_settings())
    migrate(engine)
    history.start_run(engine, "autumn", {}, {}, None)
    history.finish_run(engine, "autumn", history.SUCCEEDED)
    engine.dispose()
    return "autumn"


@pytest.fixture
def tripwire(tmp_path, monkeypatch):
    """An MLflow that says nothing but that it was imported, and whether it may report to its makers."""
    package = tmp_path / "tripwire/mlflow/__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text(
        "import os, pathlib\n"
        "pathlib.Path(__file__).with_name('imported').write_text(os.environ['MLFLOW_DISABLE_TELEMETRY'])\n"
    )
    return package.with_name("imported")


def test_each_run_is_one_of_mlflow_with_its_models_below_it(told):
    good, _, in_mlflow = told
    whole = in_mlflow[good["id"], good["id"]]
    models = {name: run for (run_id, name), run in in_mlflow.items() if run_id == good["id"] != name}

    assert {run["tags"]["mlflow.parentRunId"] for run in models.values()} == {whole["id"]}
    assert {run["status"] for run in [whole, *models.values()]} == {"FINISHED"}
    assert {name: run["tags"]["champion"] for name, run in models.items()} == {
        "hist_gradient_boosting": "false", "median": "false", "linear": "false", "xgboost": "true",
    }  # fmt: skip
    assert [whole["tags"][key] for key in ("outcome", "champion", "decision", "data_fingerprint")] == [
        "succeeded", "xgboost", good["decision"], good["data_fingerprint"],
    ]  # fmt: skip
    assert len(in_mlflow) == 7


def test_mlflow_has_the_parameters_and_the_figures_of_the_history(told):
    good, _, in_mlflow = told
    whole = in_mlflow[good["id"], good["id"]]

    assert whole["params"]["split.holdout"] == "0.2"
    assert whole["params"]["models.linear.numbers"] == '["carat", "x"]'
    assert whole["metrics"]["training_rows"] == good["training_rows"]
    for model in good["models"]:
        there, here = in_mlflow[good["id"], model["name"]], model["metrics"]
        assert there.get("params", {}) == {key: _written(value) for key, value in model["parameters"].items()}
        assert there["metrics"]["mae"] == here["overall"]["mae"]
        assert there["metrics"]["four_cs/coverage"] == here["four_cs"]["coverage"]
        assert there["metrics"]["carat 2 or more/mae"] == here["segments"]["carat"]["2+"]["mae"]
        assert there["metrics"]["cut Very Good/stones"] == here["segments"]["cut"]["Very Good"]["stones"]


def _written(value):
    return value if isinstance(value, str) else json.dumps(value)


def test_a_model_that_failed_is_a_failed_run_of_mlflow_with_its_error(told):
    _, failed, in_mlflow = told
    whole, model = in_mlflow[failed["id"], failed["id"]], in_mlflow[failed["id"], "linear"]

    assert (whole["status"], model["status"]) == ("FAILED", "FAILED")
    assert model["tags"]["error"] == failed["models"][0]["error"]
    assert "weight" in whole["tags"]["error"]
    assert "metrics" not in model


def test_what_mlflow_would_refuse_is_shortened_and_renamed():
    moment = datetime(2026, 10, 1, tzinfo=UTC)
    model = {"name": "linear", "trained_at": moment, "parameters": {"a": {"b (mm)": "x" * 9000}}, "error": "y" * 9000}
    counts = dict.fromkeys(("rows_in", "quarantined", "duplicates", "training_rows", "holdout_rows"))
    run = {"id": "autumn", "started_at": moment, "finished_at": moment, "parameters": {}, "error": None} | counts
    run |= {"outcome": "failed", "code_version": "abc+", "data_fingerprint": None, "decision": None}

    whole, linear = entries_of(run | {"models": [model | {"metrics": None, "promoted": False}]})

    assert whole["started"] == 1_790_812_800_000
    assert whole["tags"] == {"kedro_run_id": "autumn", "code_version": "abc+", "outcome": "failed"}
    assert whole["metrics"] == {}
    assert linear["parameters"] == {"a.b _mm_": "x" * 6000}
    assert linear["tags"]["error"] == "y" * 8000


def test_a_tracking_server_that_is_away_costs_a_run_one_warning(small):
    done = small.run("kedro", "run", "--pipelines=data_engineering", MLFLOW_TRACKING_URI=NO_ONE)

    (run,) = runs_of(small)
    (warning,) = [line for line in done.stderr.splitlines() if "WARNING" in line]
    assert done.returncode == 0
    assert run["outcome"] == "succeeded"
    assert f"Run {run['id']} is in `diamonds history`, but not whole in MLflow: API request to http://***@" in warning
    assert "secret" not in done.stderr


def test_a_tracking_server_that_takes_too_long_is_left_behind(a_run, monkeypatch, caplog):
    monkeypatch.setattr(hook, "PATIENCE_SECONDS", 0.1)

    hook.track(a_run)

    assert caplog.messages == [
        "Run autumn is in `diamonds history`, but not whole in MLflow: it did not take it within 0.1 seconds"
    ]


def test_without_a_tracking_uri_nothing_of_mlflow_is_imported(small, tripwire):
    path = os.pathsep.join([str(tripwire.parents[1]), small.environment["PYTHONPATH"]])

    small.succeed("kedro", "run", "--pipelines=data_engineering", PYTHONPATH=path)

    assert not tripwire.exists()


def test_mlflow_is_told_to_report_nothing_to_its_makers(a_run, tripwire, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tripwire.parents[1]))

    hook.track(a_run)

    assert tripwire.read_text() == "true"


def test_a_missing_mlflow_is_one_warning_that_says_how_to_install_it(a_run, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "mlflow", None)

    hook.track(a_run)

    assert caplog.record_tuples == [
        (
            "diamonds.tracking.hook",
            logging.WARNING,
            "MLFLOW_TRACKING_URI is set, but MLflow is not installed: pip install 'diamonds[mlflow]'",
        )
    ]
