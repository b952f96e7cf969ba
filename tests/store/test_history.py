import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from diamonds.errors import DatabaseError, NoSuchModelError, PromotionConflictError
from diamonds.store import history
from diamonds.store.tables import Promotion, TrainingRun

METRICS = {"stones": 10, "overall": {"mae": 254.28}, "segments": {}}


def run_with_model(engine, run_id, name="linear", mae=500.0):
    history.start_run(engine, run_id, {}, {"split": {"holdout": 0.2}}, "abc123")
    history.record_model(engine, run_id, name, parameters={"n": 1}, artefact=f"data/06_models/{run_id}")
    history.record_model(engine, run_id, name, metrics={"overall": {"mae": mae}})
    history.finish_run(engine, run_id, history.SUCCEEDED)


def test_a_run_and_its_models_are_kept_with_their_metrics(database):
    run_with_model(database, "r1")
    history.update_run(database, "r1", rows_in=100, quarantined=3, files=[{"name": "a.csv", "rows": 100}])

    (run,) = history.runs(database, limit=10)

    assert (run["id"], run["outcome"], run["rows_in"], run["quarantined"]) == ("r1", "succeeded", 100, 3)
    assert run["files"] == [{"name": "a.csv", "rows": 100}]
    assert run["parameters"] == {"split": {"holdout": 0.2}}
    assert run["started_at"] <= run["finished_at"] <= datetime.now(UTC)
    (model,) = run["models"]
    assert (model["name"], model["version"], model["metrics"]) == ("linear", "r1", {"overall": {"mae": 500.0}})
    assert model["parameters"] == {"n": 1}
    assert not model["promoted"]


def test_the_newest_run_and_the_best_model_come_first(database):
    for number in range(3):
        run_with_model(database, f"r{number}")
    history.record_model(database, "r2", "xgboost", metrics=METRICS)
    history.record_model(database, "r2", "broken", error="no such column")

    runs = history.runs(database, limit=2)

    assert [run["id"] for run in runs] == ["r2", "r1"]
    assert [model["name"] for model in runs[0]["models"]] == ["xgboost", "linear", "broken"]


def test_a_run_keeps_its_holdout_its_gain_and_how_long_each_node_took_in_the_order_run(database):
    gain = {"gain": 0.031, "low": 0.012, "high": 0.05, "sureness": 0.99}
    durations = {"linear.tune": 2.5, "linear.fit": 0.25, "a": 0.001, "judgement.judge": 1.0}
    history.start_run(database, "r1", {}, {}, None)
    history.update_run(database, "r1", holdout="ab" * 32, gain=gain)
    history.record_model(database, "r1", "linear", metrics=METRICS, holdout="ab" * 32)

    history.finish_run(database, "r1", history.FAILED, "out of memory", durations)

    (run,) = history.runs(database)
    assert (run["holdout"], run["gain"], run["models"][0]["holdout"]) == ("ab" * 32, gain, "ab" * 32)
    assert list(run["durations"].items()) == list(durations.items())


def test_the_champion_carries_the_holdout_of_its_metrics(database):
    run_with_model(database, "r1")
    history.record_model(database, "r1", "linear", holdout="ab" * 32)

    history.promote(database, "linear", "r1", "the first", previous_id=0)

    assert history.champion(database).holdout == "ab" * 32


def a_run(holdout, mae=500.0, **columns):
    model = {"name": "linear", "parameters": {}, "metrics": {"overall": {"mae": mae}}, "holdout": holdout}
    facts = dict.fromkeys(("code_version", "rows_in", "quarantined", "duplicates", "training_rows", "holdout_rows"))
    return (
        facts
        | {"outcome": "succeeded", "parameters": {}, "files": None, "holdout": holdout, "models": [model]}
        | columns
    )


def test_errors_on_the_same_holdout_are_compared_and_durations_are_not():
    first, second = a_run("ab" * 32, 500.0, durations={"fit": 1.0}), a_run("ab" * 32, 510.0, durations={"fit": 9.0})

    assert history.differences(first, second) == {"linear mae": (500.0, 510.0)}


@pytest.mark.parametrize(("one", "other"), [("ab" * 32, "cd" * 32), ("ab" * 32, None), (None, None)])
def test_errors_on_holdouts_that_are_not_known_to_be_the_same_are_marked(one, other):
    differences = history.differences(a_run(one, 500.0), a_run(other, 510.0))

    assert differences["linear mae (not comparable)"] == (500.0, 510.0)
    assert "linear mae" not in differences
    shown = [each and each[:12] for each in (one, other)]
    assert differences.get("holdout") == (None if one == other else tuple(shown))


def test_a_model_trained_alone_is_comparable_with_those_of_the_run_that_left_its_holdout():
    alone = a_run("ab" * 32, 510.0) | {"holdout": None}

    assert history.holdout_of(alone) == "ab" * 32
    assert history.differences(a_run("ab" * 32), alone) == {"linear mae": (500.0, 510.0)}


def test_a_run_that_judged_nothing_makes_others_no_less_comparable():
    failed = a_run(None, models=[])

    assert history.same_holdout([a_run("ab" * 32), failed, a_run("ab" * 32)])
    assert not history.same_holdout([a_run("ab" * 32), failed, a_run("cd" * 32)])


def test_there_is_no_champion_before_the_first_promotion(database):
    assert history.champion(database) is None


def test_the_newest_promotion_names_the_champion(database):
    run_with_model(database, "r1")
    run_with_model(database, "r2", "xgboost")

    history.promote(database, "linear", "r1", "the first", previous_id=0)
    first = history.champion(database)
    history.promote(database, "xgboost", "r2", "better", previous_id=first.promotion_id)
    second = history.champion(database)

    assert (first.name, first.version, first.artefact) == ("linear", "r1", "data/06_models/r1")
    assert (second.name, second.version, second.reason) == ("xgboost", "r2", "better")
    with Session(database) as session:
        entries = session.scalars(select(Promotion).order_by(Promotion.id)).all()
        assert [(e.from_model, e.to_model) for e in entries] == [(None, "linear"), ("linear", "xgboost")]


def test_two_challengers_cannot_both_succeed_the_same_champion(database):
    run_with_model(database, "r1")
    run_with_model(database, "r2")
    history.promote(database, "linear", "r1", "the first", previous_id=0)

    with pytest.raises(PromotionConflictError, match="linear r2 was not promoted: another run changed the champion"):
        history.promote(database, "linear", "r2", "also the first", previous_id=0)

    assert history.champion(database).version == "r1"


def test_a_model_that_this_database_does_not_know_is_not_promoted(database):
    """The entry would name no champion, and nothing could succeed it."""
    with pytest.raises(NoSuchModelError, match="linear r9 was not promoted: no run of this database trained it"):
        history.promote(database, "linear", "r9", "from elsewhere", previous_id=0)

    assert history.champion(database) is None
    run_with_model(database, "r1")
    history.promote(database, "linear", "r1", "the first", previous_id=0)
    assert history.champion(database).version == "r1"


def test_of_two_runs_of_the_same_millisecond_the_second_is_told_to_run_again(database):
    history.start_run(database, "r1", {}, {}, None)

    with pytest.raises(DatabaseError, match="another run began in the same millisecond, r1: run this again"):
        history.start_run(database, "r1", {}, {}, None)


def test_entering_the_same_promotion_again_changes_nothing(database):
    run_with_model(database, "r1")

    for _ in range(2):
        history.promote(database, "linear", "r1", "the first", previous_id=0)

    with Session(database) as session:
        assert len(session.scalars(select(Promotion)).all()) == 1


def test_a_run_whose_process_is_gone_is_shown_as_interrupted(database):
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    history.start_run(database, "killed", {}, {}, None)
    history.start_run(database, "alive", {}, {}, None)
    with Session(database) as session, session.begin():
        host = session.get(TrainingRun, "killed").process.rpartition(":")[0]
        session.get(TrainingRun, "killed").process = f"{host}:{gone.stdout.strip()}"
        assert session.get(TrainingRun, "alive").process == f"{host}:{os.getpid()}"

    outcomes = {run["id"]: (run["outcome"], run["error"]) for run in history.runs(database, limit=10)}
    assert outcomes["killed"] == ("interrupted", "the process ended before the run did")
    assert outcomes["alive"] == ("running", None)
