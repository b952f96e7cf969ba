"""Several processes on one study in PostgreSQL, as several machines are: none waits, none is needed, nothing is lost."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from optuna.trial import TrialState

from diamonds.config import Settings
from diamonds.store.database import migrate, open_database
from diamonds.store.studies import open_studies

TUNER = Path(__file__).parents[2] / "tuner.py"
TRIALS, WAIT_SECONDS = 12, 120
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


@pytest.fixture
def start(postgresql_url, stones, tmp_path):
    """Starts a tuner; those that still run are killed after the test."""
    settings = Settings(database_url=postgresql_url)
    engine = open_database(settings)
    migrate(engine)
    engine.dispose()
    stones.head(600).to_csv(tmp_path / "stones.csv", index=False)
    environment = os.environ | {"DIAMONDS_DATABASE_URL": postgresql_url, "OMP_NUM_THREADS": "1"}

    with contextlib.ExitStack() as started:

        def tuner(trials=TRIALS):
            process = subprocess.Popen(
                [sys.executable, str(TUNER), str(trials), str(tmp_path / "stones.csv")],
                env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            started.enter_context(process)
            started.callback(process.kill)
            return process

        yield tuner


@pytest.fixture
def trials(postgresql_url):
    """Asks the database for the trials of its only study; none where there is no study yet."""
    storage = open_studies(Settings(database_url=postgresql_url))

    def asked():
        studies = storage.get_all_studies()
        return storage.get_all_trials(studies[0]._study_id) if studies else []

    yield asked
    storage.remove_session()
    storage.engine.dispose()


def wait_until(holds):
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def ended(trials):
    return {trial.number: (trial.value, str(trial.params)) for trial in trials if trial.state in ENDED}


def found_by(process):
    out, err = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 0, err
    return json.loads(out)


def test_two_processes_begin_a_study_together_and_try_nothing_twice(start, trials):
    both = [start(), start()]

    first, second = map(found_by, both)

    assert first["study"] == second["study"]
    assert TRIALS <= len(ended(trials())) < 2 * TRIALS, "who begins a little later counts from then on"
    assert len({str(trial.params) for trial in trials()}) == len(trials())
    assert (
        first["cross_validated_mae"]
        == second["cross_validated_mae"]
        == min(value for value, _ in ended(trials()).values())
    )


def test_one_that_is_killed_loses_no_finished_trial_and_the_other_reaches_the_goal(start, trials):
    killed, other = start(), start()
    wait_until(lambda: len(ended(trials())) >= 3)
    killed.kill()
    killed.wait()
    finished = ended(trials())

    found = found_by(other)

    known = trials()
    assert len(finished) < TRIALS, "it was killed too late"
    assert finished.items() <= ended(known).items()
    assert TRIALS <= len(ended(known)) < 2 * TRIALS
    assert len({str(trial.params) for trial in known if trial.params}) == len(
        [trial for trial in known if trial.params]
    )
    assert {trial.state for trial in known} <= {*ENDED, TrialState.FAIL}
    assert sum(trial.state == TrialState.FAIL for trial in known) <= 1
    assert found["cross_validated_mae"] == min(value for value, _ in ended(known).values())


def test_a_search_does_not_wait_for_what_was_under_way_before_it_began(start, trials):
    """It may be a killed process's, as here, which is known only after a while."""
    killed = start()
    wait_until(lambda: [trial for trial in trials() if trial.state == TrialState.RUNNING and trial.params])
    killed.kill()
    killed.wait()
    before = trials()

    found = found_by(start(1))

    assert len(ended(trials())) == len(ended(before)) + 1
    assert len(found["trials"]) == len(before) + 1
