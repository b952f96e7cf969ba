"""Retraining by itself: when it is done, when it is not, one at a time, and whatever ends it."""

import fcntl
import json
import re
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from benchmarks.kills import inconsistencies
from diamonds.moments import written
from diamonds.retraining import Present, fresh, last_whole_run
from project import Project, break_model, memory, serve, stop

RUN = {
    "id": "r1", "outcome": "succeeded", "selection": {}, "code_version": "abc", "code_hash": "h1",
    "files": [{"name": "spring.csv", "sha256": "s1"}, {"name": "summer.csv", "sha256": "s2"}],
    "parameters": {"tuning": {"trials": 3, "folds": 2}},
}  # fmt: skip
PRESENT = Present({"spring.csv": "s1", "summer.csv": "s2"}, {"tuning": {"trials": 3, "folds": 2}}, "h1", "abc")


def present(**changes):
    return Present(**(vars(PRESENT) | changes))


def give_verdict(project, retrain, at, version="2026-11-27T01.00.00.000Z"):
    place = project.folder / "data/08_reporting/monitoring_report.json" / version / "monitoring_report.json"
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps({"retrain": retrain, "reason": "errors grew by 40%.", "at": at.isoformat()}))


def outcomes(project):
    return [run["outcome"] for run in memory(project)[0]]


@contextmanager
def locked(project, words="since 2026-11-27 03:17:00 UTC (process 7)"):
    with (project.folder / "data/retrain.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(words)
        file.flush()
        yield


@pytest.mark.parametrize(
    ("now", "changed"),
    [
        (PRESENT, []),
        (present(files={"may.csv": "s1", "summer.csv": "s2"}), []),
        (present(files=PRESENT.files | {"autumn.csv": "s3"}), ["autumn.csv is new"]),
        (present(files={"spring.csv": "s9", "summer.csv": "s2"}), ["spring.csv changed"]),
        (present(files={"spring.csv": "s1"}), ["summer.csv is gone"]),
        (present(files=PRESENT.files | {"copy.csv": "s1"}), ["a file is there another number of times"]),
        (present(parameters={"tuning": {"trials": 4, "folds": 2}}), ["parameter tuning trials changed"]),
        (present(parameters={"tuning": {"trials": 3}}), ["parameter tuning folds changed"]),
        (present(code_hash="h2"), ["the code changed"]),
        (present(code_version="abc+"), []),
    ],
)
def test_what_is_fresh_is_what_differs_in_content(now, changed):
    assert fresh(RUN, now) == changed


@pytest.mark.parametrize(
    ("then", "now", "changed"), [("abc", "abc", 0), ("abc", "abc+", 1), ("abc+", "abc+", 1), (None, None, 1)]
)
def test_a_run_from_before_code_was_hashed_is_compared_by_its_commit(then, now, changed):
    run = RUN | {"code_hash": None, "code_version": then}

    assert fresh(run, present(code_version=now)) == ["the code changed"] * changed


def test_a_run_of_a_part_and_one_that_still_runs_are_not_what_freshness_is_measured_by():
    part, running = RUN | {"selection": {"namespaces": ["linear"]}}, RUN | {"outcome": "running"}

    assert last_whole_run([running, part, RUN]) is RUN
    assert last_whole_run([running, part]) is None


def test_where_nothing_is_fresh_nothing_is_done_and_one_line_says_so(small_trained):
    (run,), _ = memory(small_trained)

    done = small_trained.run("diamonds", "retrain", "--if-fresh")

    words = f"no file, parameter or code has changed since the run {run['id']}"
    assert (done.returncode, done.stdout, done.stderr) == (0, f"Nothing to do: {words}.\n", "")
    answer = json.loads(small_trained.succeed("diamonds", "retrain", "--if-fresh", "--json"))
    assert answer == {"reasons": [], "against": [words], "run": None}
    assert outcomes(small_trained) == ["succeeded"]


def test_a_file_whose_rows_are_all_refused_is_fresh_once(small_trained):
    """It is trained without them, the history counts them, and the next night finds nothing fresh."""
    (small_trained.raw / "autumn.csv").write_text(
        "carat,cut,color,clarity,depth,table,price,x,y,z\n" + "1.0,Ideal,Z,VS2,61.8,57,5000,6.4,6.4,3.96\n" * 3
    )

    trained = small_trained.run("diamonds", "retrain", "--if-fresh")
    first, said = trained.stdout, trained.stderr
    second = small_trained.succeed("diamonds", "retrain", "--if-fresh")

    assert "WARNING" not in said
    assert "Read 3,003 rows from 2 CSV files: 3 quarantined, " in said
    (place,) = re.findall(r"The rows that were refused, with file, line and reason: (\S+)$", said, re.MULTILINE)
    assert (small_trained.folder / place).read_text().count("autumn.csv,") == 3
    assert first.startswith("Retraining: autumn.csv is new.\n")
    assert second.startswith("Nothing to do: no file, parameter or code has changed since the run ")
    runs, _ = memory(small_trained)
    assert [(run["outcome"], run["quarantined"]) for run in runs] == [("succeeded", 3), ("succeeded", 0)]
    assert first.splitlines()[-1] == f"{runs[0]['id']}: {runs[0]['decision']}."


def test_a_file_that_cannot_be_used_is_said_in_plain_words_each_time(small_trained):
    (small_trained.raw / "broken.csv").write_text("carat,price\n1,2\n")

    first = small_trained.run("diamonds", "retrain", "--if-fresh")
    second = small_trained.run("diamonds", "retrain", "--if-fresh")

    assert (first.returncode, second.returncode) == (1, 1)
    assert "diamonds: broken.csv lacks the columns cut, color, clarity, depth, table, x, y, z" in first.stderr
    assert "Traceback" not in first.stderr + second.stderr
    assert second.stdout.startswith(f"Retraining: the run {memory(small_trained)[0][1]['id']} failed; ")
    (small_trained.raw / "broken.csv").unlink()
    (small_trained.raw / "folder.csv").mkdir()
    unreadable = small_trained.run("diamonds", "retrain", "--if-fresh")
    assert unreadable.returncode == 1
    assert "folder.csv cannot be read: Is a directory; mend or remove it\n" in unreadable.stderr


def test_a_model_that_fails_ends_the_retraining_with_status_1_and_is_tried_again(small_trained):
    break_model(small_trained, "linear", "no column weight")

    failed = small_trained.run("diamonds", "retrain", "--if-fresh")

    assert failed.returncode == 1
    assert failed.stdout.startswith("Retraining: the code changed.\n")
    assert "diamonds: linear failed: ValueError: no column weight. The other models went on.\n" in failed.stderr
    assert outcomes(small_trained) == ["failed", "succeeded"]


def test_an_entry_that_the_model_store_does_not_have_yet_is_a_reason(small_trained):
    """A run that was killed between the row and the entry leaves this."""
    (small_trained.folder / "bentoml/models/diamonds/latest").unlink()

    done = small_trained.succeed("diamonds", "retrain", "--if-fresh")

    assert done.startswith("Retraining: the model store does not have the champion yet.\n")
    assert (small_trained.folder / "bentoml/models/diamonds/latest").exists()


def test_monitoring_is_followed_while_its_verdict_is_newer_than_the_models(small_trained):
    now = datetime.now(UTC)
    nothing = small_trained.succeed("diamonds", "retrain", "--if-drift")
    give_verdict(small_trained, "yes", now - timedelta(days=9), "2026-11-18T01.00.00.000Z")
    old = small_trained.succeed("diamonds", "retrain", "--if-drift")
    give_verdict(small_trained, "no", now, "2026-11-27T01.00.00.000Z")
    no = small_trained.succeed("diamonds", "retrain", "--if-drift")
    give_verdict(small_trained, "yes", now, "2026-11-28T01.00.00.000Z")
    yes = small_trained.succeed("diamonds", "retrain", "--if-drift", "--if-fresh")
    followed = small_trained.succeed("diamonds", "retrain", "--if-drift")

    assert nothing == "Nothing to do: monitoring has given no verdict yet.\n"
    assert old.endswith(" is older than the models.\n")
    assert no == f"Nothing to do: monitoring says no ({written(now)}): errors grew by 40%.\n"
    assert yes.startswith(f"Retraining: monitoring says yes ({written(now)}): errors grew by 40%.\n")
    assert followed == f"Nothing to do: monitoring's verdict of {written(now)} is older than the models.\n"
    assert outcomes(small_trained) == ["succeeded", "succeeded"]


def test_a_verdict_that_cannot_be_read_is_said_in_plain_words(small_trained):
    place = small_trained.folder / "data/08_reporting/monitoring_report.json/2026/monitoring_report.json"
    place.parent.mkdir(parents=True)
    place.write_text('{"retrain": "may')

    done = small_trained.run("diamonds", "retrain", "--if-drift")

    assert done.returncode == 1
    assert done.stderr.endswith(
        "monitoring_report.json is no verdict of monitoring: `kedro run --pipelines=monitoring` gives a new one\n"
    )


def test_of_two_at_once_the_second_says_that_one_is_running_and_since_when(small_trained):
    with locked(small_trained):
        second = small_trained.run("diamonds", "retrain", "--if-fresh")

    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr == "diamonds: another retraining is running since 2026-11-27 03:17:00 UTC (process 7)\n"
    assert outcomes(small_trained) == ["succeeded"]


def test_one_that_waits_decides_anew_once_the_other_has_ended(small_trained):
    (small_trained.raw / "autumn.csv").write_text("taken away before its turn\n")
    with locked(small_trained):
        second = small_trained.start("diamonds", "retrain", "--if-fresh", "--wait")
        waiting = second.stderr.readline()
        (small_trained.raw / "autumn.csv").unlink()
    said, _ = second.communicate(timeout=60)

    assert waiting == "Another retraining is running since 2026-11-27 03:17:00 UTC (process 7): waiting for it.\n"
    assert (second.returncode, outcomes(small_trained)) == (0, ["succeeded"])
    assert said.startswith("Nothing to do: no file, parameter or code has changed since the run ")


def test_without_a_condition_it_always_runs_and_says_for_programs_what_came_of_it(small):
    answer = json.loads(small.succeed("diamonds", "retrain", "--json"))

    runs, champion = memory(small)
    assert (answer["reasons"], answer["against"]) == (["it was asked for"], [])
    assert (answer["run"]["id"], answer["run"]["outcome"]) == (champion.version, "succeeded")
    assert answer["run"]["decision"] == runs[0]["decision"]


def test_outside_of_a_project_nothing_is_made(tmp_path, small_trained_once):
    elsewhere = Project(tmp_path)

    done = elsewhere.run("diamonds", "retrain", PYTHONPATH=str(small_trained_once.folder / "src"))

    assert (done.returncode, list(tmp_path.iterdir())) == (1, [])
    assert done.stderr == f"diamonds: there is no project in {tmp_path}: run this where `kedro run` is run\n"


#: What a retraining says when its data is checked, a search has ended, it has judged, and it has entered the champion.
STAGES = ("held out", "cross-validated MAE is", "The challenger wins", "Promoted:")


def test_whenever_it_is_killed_all_that_is_left_is_whole_and_serves_and_the_next_run_succeeds(small_trained):
    """`make bench-kills` does the same at random instants."""
    entries = small_trained.folder / "conf/base/parameters_models.yml"
    entries.write_text(entries.read_text().replace("n_estimators: 60", "n_estimators: 120"))
    (run,), _ = memory(small_trained)
    small_trained.succeed("diamonds", "champion", "set", "median", run["id"], "--reason", "easy to beat")
    _, first = memory(small_trained)

    champions = []
    for stage in STAGES:
        with small_trained.start("diamonds", "retrain", "--if-fresh") as run:
            assert any(stage in line for line in run.stderr)
            run.kill()
        assert inconsistencies(small_trained.folder) == []
        champions.append(memory(small_trained)[1])

    assert outcomes(small_trained) == [*["interrupted"] * 4, "succeeded"]
    assert champions[:3] == [first] * 3
    assert champions[3].version == memory(small_trained)[0][0]["id"]
    latest = small_trained.folder / "bentoml/models/diamonds/latest"
    assert latest.read_text() == f"median-{first.version}-{first.promotion_id}".casefold()
    small_trained.succeed("kedro", "run", "--pipelines=training")
    mended = small_trained.succeed("diamonds", "retrain", "--if-fresh")
    assert f"the run {champions[3].version} was interrupted; " in mended
    assert "the model store does not have the champion yet" in mended
    assert latest.read_text() == f"xgboost-{champions[3].version}-{champions[3].promotion_id}".casefold()
    assert memory(small_trained)[1] == champions[3]
    assert inconsistencies(small_trained.folder) == []
    stop(serve(small_trained))
