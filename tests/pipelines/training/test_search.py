import signal
import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import optuna
import pytest
from optuna.storages import InMemoryStorage
from sklearn.model_selection import KFold
from sqlalchemy import text

from diamonds import models
from diamonds.config import Settings
from diamonds.errors import ConfigurationError, DatabaseError, ModelError
from diamonds.models import xgboost
from diamonds.pipelines.training.search import search
from diamonds.pipelines.training.tuning import Tuning
from diamonds.store import studies
from diamonds.store.database import migrate, open_database
from diamonds.store.studies import alone, open_studies

PARAMS = xgboost.Params(n_estimators=60, learning_rate=0.08, max_depth=5, n_jobs=1)


def folds_of(stones, count=2):
    return [
        (stones.iloc[known], stones.iloc[judged])
        for known, judged in KFold(count, shuffle=True, random_state=1).split(stones)
    ]


@pytest.fixture(scope="module")
def folds(stones):
    return folds_of(stones.head(1000))


def tuning(trials, **values):
    return Tuning(**{"trials": trials, "timeout": None, "folds": 2, "seed": 42, "pruner": "median"} | values)


def quickly(folds, storage, trials=3, params=PARAMS, **values):
    return search("xgboost", folds, params, tuning(trials, **values), storage)


def tried(found):
    return [trial["params"] for trial in found["trials"]]


def test_a_search_of_so_many_trials_on_the_same_stones_gives_the_same_twice(folds):
    first, second = (quickly(folds, InMemoryStorage(), trials=4) for _ in range(2))

    assert first == second
    assert len({str(params) for params in tried(first)}) == 4


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_a_search_that_goes_on_is_the_search_that_never_stopped(folds, pruner):
    params = PARAMS.model_copy(update={"n_estimators": 150})
    storage = InMemoryStorage()
    for _ in range(3):
        continued = quickly(folds, storage, trials=2, params=params, pruner=pruner)

    assert continued == quickly(folds, InMemoryStorage(), trials=6, params=params, pruner=pruner)


def test_another_seed_tries_other_parameters(folds):
    first, second = (tried(quickly(folds, InMemoryStorage(), trials=2, seed=seed)) for seed in (1, 2))

    assert first[0] == second[0]
    assert first[1] != second[1]


def test_the_entry_is_the_first_trial_so_that_no_search_ends_behind_it(folds):
    found = quickly(folds, InMemoryStorage())

    assert tried(found)[0] == {name: PARAMS.model_dump()[name] for name in tried(found)[0]}
    assert found["cross_validated_mae"] == min(
        trial["mae"] for trial in found["trials"] if trial["state"] == "COMPLETE"
    )
    assert found["cross_validated_mae"] <= found["trials"][0]["mae"]


def test_a_search_on_fresh_stones_begins_with_the_best_of_the_last(folds, stones):
    storage = InMemoryStorage()
    slow = PARAMS.model_copy(update={"learning_rate": 0.02})
    last = quickly(folds, storage, params=slow)

    fresh = quickly(folds_of(stones.tail(1000)), storage, params=slow)

    assert fresh["study"] != last["study"]
    assert [trial["number"] for trial in fresh["trials"]] == [0, 1, 2]
    best = min((trial for trial in last["trials"] if trial["state"] == "COMPLETE"), key=lambda trial: trial["mae"])
    assert best["number"] > 0
    assert tried(fresh)[:2] == [tried(last)[0], best["params"]]


def test_other_threads_make_no_other_study_and_another_number_of_trees_does(folds):
    storage = InMemoryStorage()
    studies = [
        quickly(folds, storage, trials=1, params=PARAMS.model_copy(update=change))["study"]
        for change in ({}, {"n_jobs": 2}, {"n_estimators": 50})
    ]

    assert studies[0] == studies[1]
    assert studies[0] != studies[2]


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_a_trial_that_is_behind_is_given_up_half_way(folds, pruner):
    params = PARAMS.model_copy(update={"n_estimators": 300})
    storage = InMemoryStorage()

    found = quickly(folds, storage, trials=8, params=params, pruner=pruner)

    trials = optuna.load_study(study_name=found["study"], storage=storage).trials
    pruned = [trial for trial in trials if trial.state.name == "PRUNED"]
    assert pruned
    assert all(30 <= max(trial.intermediate_values) < 100 for trial in pruned)


def test_without_a_pruner_none_is_given_up(folds):
    params = PARAMS.model_copy(update={"n_estimators": 100})

    found = quickly(folds, InMemoryStorage(), trials=5, params=params, pruner="none")

    assert {trial["state"] for trial in found["trials"]} == {"COMPLETE"}


def test_an_entry_that_the_space_does_not_hold_is_refused_by_its_name(folds):
    with pytest.raises(ConfigurationError, match=r"models.xgboost.max_depth is 20, which .* space does not hold"):
        quickly(folds, InMemoryStorage(), params=PARAMS.model_copy(update={"max_depth": 20}))


def test_the_timeout_ends_a_search(folds, caplog):
    found = quickly(folds, InMemoryStorage(), trials=1000, timeout=0.001)

    assert len(found["trials"]) == 1
    assert "the search ended after 1 of 1000 trials; its timeout is 0.001 s" in caplog.text


def test_ctrl_c_keeps_what_was_found(folds, monkeypatch, caplog):
    whole = xgboost.cross_validation.__call__
    calls = []

    def interrupted_in_the_third(self, params, report):
        calls.append(params)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return whole(self, params, report)

    monkeypatch.setattr(xgboost.cross_validation, "__call__", interrupted_in_the_third)

    found = quickly(folds, InMemoryStorage(), trials=10)

    assert [trial["state"] for trial in found["trials"]] == ["COMPLETE", "COMPLETE", "FAIL"]
    assert found["cross_validated_mae"] == min(trial["mae"] for trial in found["trials"][:2])
    assert "the search was interrupted; going on with the best so far" in caplog.text


def test_ctrl_c_before_anything_was_found_ends_the_run(folds, monkeypatch):
    def interrupted(self, params, report):
        signal.raise_signal(signal.SIGINT)
        report(10, 300.0)

    monkeypatch.setattr(xgboost.cross_validation, "__call__", interrupted)

    with pytest.raises(KeyboardInterrupt):
        quickly(folds, InMemoryStorage())

    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_pressed_twice_ends_the_run_at_once(folds, monkeypatch):
    def impatient(self, params, report):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("it went on")

    monkeypatch.setattr(xgboost.cross_validation, "__call__", impatient)

    with pytest.raises(KeyboardInterrupt):
        quickly(folds, InMemoryStorage())


def test_all_trials_share_the_matrices_of_the_folds(folds, monkeypatch):
    built = []

    class Counted(xgboost.QuantileDMatrix):
        def __init__(self, *args, **kwargs):
            built.append(1)
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(xgboost, "QuantileDMatrix", Counted)

    quickly(folds, InMemoryStorage(), trials=4)

    assert len(built) == 2 * len(folds)


def silent(percent, mae):
    """A report to nobody."""


@pytest.mark.parametrize("target", ["log", "plain"])
def test_trees_grown_side_by_side_err_as_those_fitted_fold_by_fold(stones, target):
    folds = folds_of(stones, 3)
    params = PARAMS.model_copy(update={"target": target, "subsample": 1, "colsample_bytree": 1})

    mae, _ = xgboost.cross_validation(folds)(params, silent)

    fold_by_fold, _ = models._fold_by_fold(xgboost, folds)(params, silent)
    assert mae == pytest.approx(fold_by_fold, rel=0.001)


def test_trees_stop_growing_where_more_bring_nothing(stones):
    folds = folds_of(stones, 3)
    reports = {}

    _, learned = xgboost.cross_validation(folds)(
        PARAMS.model_copy(update={"n_estimators": 2000, "learning_rate": 0.3}), reports.__setitem__
    )

    assert learned.n_estimators < 400
    assert max(reports) < 30
    assert list(reports.values()) == sorted(reports.values(), reverse=True)


def test_a_model_without_a_way_of_its_own_is_fitted_to_each_fold(stones):
    linear = models.get("linear")
    folds = folds_of(stones, 3)
    reports = {}

    mae, params = models.cross_validation(linear, folds)(linear.Params(), reports.__setitem__)

    each = [
        np.abs(judged["price"] - linear.build(linear.Params()).fit(known, known["price"]).predict(judged)).mean()
        for known, judged in folds
    ]
    assert mae == pytest.approx(np.mean(each))
    assert reports == {33: pytest.approx(each[0]), 66: pytest.approx(np.mean(each[:2])), 100: pytest.approx(mae)}
    assert params == linear.Params()


def test_an_entry_whose_trial_was_cut_off_is_tried_again(folds, monkeypatch):
    storage = InMemoryStorage()

    def interrupted(self, params, report):
        signal.raise_signal(signal.SIGINT)
        report(10, 300.0)

    with monkeypatch.context() as patch:
        patch.setattr(xgboost.cross_validation, "__call__", interrupted)
        with pytest.raises(KeyboardInterrupt):
            quickly(folds, storage)

    found = quickly(folds, storage, trials=2)

    assert [trial["state"] for trial in found["trials"]] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert tried(found)[1] == {name: PARAMS.model_dump()[name] for name in tried(found)[1]}


def test_parameters_that_price_no_stone_end_the_search_and_not_go_on_for_ever(folds, monkeypatch):
    monkeypatch.setattr(xgboost.cross_validation, "__call__", lambda self, params, report: (np.nan, params))

    with pytest.raises(ModelError, match="trial 0 was judged with an error of nan: the model computes no prices"):
        quickly(folds, InMemoryStorage())


def test_a_stone_that_a_model_cannot_price_is_not_passed_over(stones):
    class Modest:
        Params = models.get("median").Params

        @staticmethod
        def build(params):
            return SmallStonesOnly()

    mae, _ = models.cross_validation(Modest, folds_of(stones))(Modest.Params(), silent)

    assert np.isnan(mae)


class SmallStonesOnly:
    """Knows no price beyond half a carat."""

    def fit(self, stones, prices):
        return self

    def predict(self, stones):
        return np.where(stones["carat"] > 0.5, np.nan, 500.0)


# Kept in the database.


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request, tmp_path):
    """Those of a database that has the project's own tables, whose version table Optuna's would clash with."""
    url = f"sqlite:///{tmp_path}/d.db" if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    settings = Settings(database_url=url)
    engine = open_database(settings)
    migrate(engine)
    engine.dispose()
    return settings


@pytest.fixture
def opened(settings):
    """Opens the studies, as a process of its own would, and closes them after the test."""
    storages = []

    def open_again():
        storages.append(open_studies(settings))
        return storages[-1]

    yield open_again
    for storage in storages:
        storage.remove_session()
        storage.engine.dispose()


def test_a_study_is_kept_and_gone_on_with(opened, folds):
    first = quickly(folds, opened(), trials=2)

    second = quickly(folds, opened(), trials=1)

    assert second["study"] == first["study"]
    assert second["trials"][:2] == first["trials"]
    assert len(second["trials"]) == 3


def test_two_searches_at_once_share_the_work(opened, folds):
    storages = [opened() for _ in range(2)]
    begin = threading.Barrier(2)
    found = []

    def work(storage):
        begin.wait()
        found.append(quickly(folds, storage, trials=6))

    workers = [threading.Thread(target=work, args=[storage]) for storage in storages]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    ended = optuna.load_study(study_name=found[0]["study"], storage=storages[0]).trials
    assert found[0]["study"] == found[1]["study"]
    assert 6 <= len(ended) <= 7  # both may see the last but one go at the same moment
    assert len({str(trial.params) for trial in ended}) >= len(ended) - 1


def test_of_two_that_begin_a_study_at_once_the_second_waits_for_the_first(opened):
    first, second = opened(), opened()
    order = []

    def begin():
        with alone(second):
            order.append("second")

    waiting = threading.Thread(target=begin)
    with alone(first):
        waiting.start()
        waiting.join(0.3)
        order.append("first")
    waiting.join()

    assert order == ["first", "second"]


def test_a_trial_that_was_cut_off_before_it_was_heard_of_is_given_up_too(opened, folds, monkeypatch):
    storage = opened()
    begun = quickly(folds, storage, trials=1)
    study = optuna.load_study(study_name=begun["study"], storage=storage)
    storage.create_new_trial(study._study_id)  # and then its process is gone

    assert studies.give_up_silent(study, storage)
    young = study.trials[1].state
    monkeypatch.setattr(studies, "SILENCE", timedelta())
    assert studies.give_up_silent(study, storage)

    assert (young.name, study.trials[1].state.name) == ("RUNNING", "FAIL")


def test_a_trial_of_a_search_that_was_killed_is_given_up(opened, folds):
    storage = opened()
    begun = quickly(folds, storage, trials=1)
    study = optuna.load_study(study_name=begun["study"], storage=storage)
    storage.record_heartbeat(storage.create_new_trial(study._study_id))  # and then its process is gone
    with storage.engine.begin() as connection:
        long_ago = datetime.now(UTC).replace(tzinfo=None) - timedelta(hours=1)
        connection.execute(text("UPDATE trial_heartbeats SET heartbeat = :then"), {"then": long_ago})

    found = quickly(folds, storage, trials=2)

    assert [trial["state"] for trial in found["trials"]][:2] == ["COMPLETE", "FAIL"]
    assert len(found["trials"]) == 4


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_a_database_that_is_lost_on_the_way_is_said_to_be_lost(opened, folds, monkeypatch):
    storage = opened()
    whole = xgboost.cross_validation.__call__

    def lost(self, params, report):
        with storage.engine.begin() as connection:
            connection.execute(text("DROP TABLE trial_values"))
        return whole(self, params, report)

    monkeypatch.setattr(xgboost.cross_validation, "__call__", lost)

    with pytest.raises(DatabaseError, match=r"the search lost its database: .*no such table: trial_values"):
        quickly(folds, storage)
