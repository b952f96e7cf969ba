"""The hooks of a run, called as Kedro calls them."""

import pytest
from kedro.io import DataCatalog, DatasetError, MemoryDataset, Version
from kedro.pipeline import Node, Pipeline
from kedro_datasets.json import JSONDataset

from diamonds import models
from diamonds.config import Settings
from diamonds.hooks import TrainingHistory
from diamonds.store import history
from diamonds.store.database import open_database

DECISION = {"promote": False, "reason": "xgboost does not beat the champion"}


def node(name):
    return Node(lambda: None, inputs=None, outputs="nothing", name=name)


def begin(hooks, run_id):
    parameters = MemoryDataset({"models": {name: {} for name in models.available()}})
    hooks.before_pipeline_run({"run_id": run_id}, Pipeline([]), DataCatalog({"parameters": parameters}))


@pytest.fixture
def hooks(tmp_path, monkeypatch):
    """The hooks of a run r1 that has begun."""
    monkeypatch.setenv("DIAMONDS_DATABASE_URL", f"sqlite:///{tmp_path}/d.db")
    begun = TrainingHistory()
    begin(begun, "r1")
    return begun


@pytest.fixture
def entered(tmp_path):
    """Gives the row of a run."""

    def row(run_id="r1"):
        engine = open_database(Settings(database_url=f"sqlite:///{tmp_path}/d.db"))
        found = history.run(engine, run_id)
        engine.dispose()
        return found

    return row


def test_a_run_that_fails_keeps_how_long_each_node_took_the_failing_one_among_them(hooks, entered):
    for name in ("z", "a"):
        hooks.before_node_run(node(name))
        hooks.after_node_run(node(name))
    hooks.before_node_run(node("m"))
    hooks.on_node_error(MemoryError("too many trees"), node("m"))

    hooks.on_pipeline_error(MemoryError("too many trees"))

    assert (entered()["outcome"], list(entered()["durations"])) == ("failed", ["z", "a", "m"])
    assert all(seconds >= 0 for seconds in entered()["durations"].values())


def test_whatever_a_run_writes_is_there_whole_or_not_at_all(hooks, tmp_path):
    report = JSONDataset(filepath=str(tmp_path / "report.json"), version=Version(None, "r2"))
    parameters = MemoryDataset({"models": {name: {} for name in models.available()}})
    writing = Pipeline([Node(lambda: None, inputs=None, outputs="report", name="write")])

    hooks.before_pipeline_run({"run_id": "r2"}, writing, DataCatalog({"parameters": parameters, "report": report}))
    with pytest.raises(DatasetError, match="not JSON serializable"):
        report.save({"stones": 3, "half": object()})

    assert list(tmp_path.rglob("report.json*")) == [tmp_path / "report.json"]
    assert list((tmp_path / "report.json").rglob("*")) == [tmp_path / "report.json/r2"]


def test_the_next_run_of_the_same_process_begins_with_no_durations(hooks, entered):
    hooks.before_node_run(node("z"))
    hooks.after_node_run(node("z"))
    list(hooks.after_pipeline_run())

    begin(hooks, "r2")
    list(hooks.after_pipeline_run())

    assert (list(entered("r1")["durations"]), entered("r2")["durations"]) == (["z"], {})


def test_an_endless_gain_is_kept_as_json_can_hold_it(hooks, entered):
    """A champion without any error cannot be gained upon."""
    gain = {"gain": float("-inf"), "low": float("nan"), "high": -0.5, "sureness": 0.0}

    hooks.after_dataset_saved("decision", DECISION | {"gain": gain}, node("judge"))
    list(hooks.after_pipeline_run())

    assert entered()["gain"] == {"gain": None, "low": None, "high": -0.5, "sureness": 0.0}


def test_a_first_champion_has_no_gain(hooks, entered):
    hooks.after_dataset_saved("decision", DECISION | {"gain": None}, node("judge"))
    list(hooks.after_pipeline_run())

    assert entered()["gain"] is None
