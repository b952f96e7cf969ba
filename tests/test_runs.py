"""What a run makes of what the runs before it left, and of what is new: stones, models, a database."""

import json
import shutil

from sqlalchemy import select
from sqlalchemy.orm import Session

from diamonds import models
from diamonds.pricer import load
from diamonds.store.database import open_database
from diamonds.store.tables import Promotion
from project import make_project, memory, metrics_of, quick, stones_of


def keys(frame):
    return set(frame.drop(columns="price").itertuples(index=False, name=None))


def test_a_second_run_on_unchanged_data_changes_no_champion(small_trained):
    _, first = memory(small_trained)
    latest = (small_trained.folder / "bentoml/models/diamonds/latest").read_text()

    second = small_trained.run("kedro", "run")

    assert second.returncode == 0
    runs, champion = memory(small_trained)
    assert champion == first
    assert (small_trained.folder / "bentoml/models/diamonds/latest").read_text() == latest
    assert len(runs) == 2
    assert runs[0]["data_fingerprint"] == runs[1]["data_fingerprint"]
    assert "does not beat the champion xgboost" in runs[0]["decision"]
    assert runs[0]["gain"] == {"gain": 0.0, "low": 0.0, "high": 0.0, "sureness": 0.0}
    assert runs[0]["holdout"] == runs[1]["holdout"]
    assert f"The champion stays: {runs[0]['decision']}" in second.stderr
    assert "Read 3,000 rows from 1 CSV file: 0 quarantined, 0 duplicates;" in second.stderr
    assert "1/1 trials, 0 pruned," in second.stderr
    assert "left, best $" in second.stderr
    assert "xgboost: 2 trials, 0 of them pruned, 1 from before; the best cross-validated MAE is $" in second.stderr


def test_a_fresh_csv_is_picked_up_and_moves_no_holdout_stone_into_training(small_trained, classic):
    train, holdout = stones_of(small_trained, "train"), stones_of(small_trained, "holdout")
    fresh = classic.sample(2000, random_state=77)
    (small_trained.raw / "a-fresh.csv").write_text(fresh.to_csv(index=False))

    small_trained.succeed("kedro", "run")

    assert keys(holdout) <= keys(stones_of(small_trained, "holdout"))
    assert keys(train) <= keys(stones_of(small_trained, "train"))
    runs, _ = memory(small_trained)
    assert [file["name"] for file in runs[0]["files"]] == ["a-fresh.csv", "spring.csv"]
    assert runs[0]["rows_in"] == 5000
    assert runs[0]["data_fingerprint"] != runs[1]["data_fingerprint"]


def test_one_namespace_trains_that_model_alone(small):
    small.succeed("kedro", "run", "--pipelines=data_engineering")

    small.succeed("kedro", "run", "--namespaces=linear")

    assert "succeeded, namespaces linear" in small.succeed("diamonds", "history")
    runs, champion = memory(small)
    assert [model["name"] for model in runs[0]["models"]] == ["linear"]
    assert runs[0]["models"][0]["metrics"]["overall"]["mae"] > 0
    assert runs[0]["selection"] == {"namespaces": ["linear"], "pipeline_names": None} or runs[0]["selection"][
        "namespaces"
    ] == ["linear"]
    assert champion is None


def test_a_run_judges_its_own_models_whatever_another_run_left_meanwhile(small_trained):
    """A run that began later and ended sooner leaves newer versions, which Kedro alone would read."""
    later = "2099-01-01T00.00.00.000Z"
    for dataset in (
        "06_models/linear_pricer",
        "06_models/xgboost_pricer",
        "08_reporting/linear_metrics.json",
        "03_primary/train.parquet",
    ):
        newest = small_trained.newest(dataset).parent
        shutil.copytree(newest, newest.with_name(later))

    small_trained.succeed("kedro", "run")

    runs, _ = memory(small_trained)
    assert {model["version"] for model in runs[0]["models"]} == {runs[0]["id"]}
    assert all(model["metrics"]["overall"]["mae"] > 0 for model in runs[0]["models"])
    leaderboard = json.loads(
        (small_trained.folder / f"data/08_reporting/leaderboard.json/{runs[0]['id']}/leaderboard.json").read_text()
    )
    assert {row["version"] for row in leaderboard} == {runs[0]["id"]}


def test_judging_again_enters_no_model_that_was_not_trained(small_trained):
    small_trained.succeed("kedro", "run", "--pipelines=evaluation")

    runs, _ = memory(small_trained)

    assert [len(run["models"]) for run in runs] == [0, len(models.available())]


def test_any_stage_reads_the_versions_it_is_told_to(small_trained):
    """Every artefact of a model has a version of its run: those of the first are judged again after a second."""
    (first,), _ = memory(small_trained)
    entries = small_trained.folder / "conf/base/parameters_models.yml"
    entries.write_text(entries.read_text().replace("linear: {}", "linear: {numbers: [carat]}"))
    small_trained.succeed("kedro", "run")
    versions = ",".join(f"{model}_pricer:{first['id']}" for model in models.available())

    small_trained.succeed("kedro", "run", "--pipelines=evaluation", f"--load-versions={versions}")
    judged_again = metrics_of(small_trained, "linear")
    again = f"--load-versions=linear_params:{first['id']}"
    small_trained.succeed("kedro", "run", "--nodes=linear.fit,linear.calibrate", again)

    assert judged_again["version"] == first["id"]
    assert judged_again["overall"] == next(
        model["metrics"]["overall"] for model in first["models"] if model["name"] == "linear"
    )
    assert load(small_trained.newest("06_models/linear_pricer")).summary.params == {"numbers": ["carat", "x"]}


def test_each_stage_runs_alone_from_what_the_one_before_it_left(small):
    for stage in ("data_engineering", "training", "evaluation", "packaging", "reporting"):
        small.succeed("kedro", "run", f"--pipelines={stage}")

    _, champion = memory(small)
    assert champion.name == "xgboost"
    engine = open_database(small.settings)
    with Session(engine) as session:
        assert len(session.scalars(select(Promotion)).all()) == 1
    engine.dispose()


NEW_MODEL = '''"""K nearest neighbours, for a test."""

from pydantic import BaseModel
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline

from diamonds.features import on_log_price, one_hot_with


class Params(BaseModel, extra="forbid"):
    """How many neighbours."""

    n_neighbors: int = 5


def build(params: Params):
    """A regressor with these parameters."""
    return on_log_price(make_pipeline(one_hot_with(["carat"]), KNeighborsRegressor(params.n_neighbors)))
'''


def test_a_new_model_is_one_file_and_one_entry(small):
    (small.folder / "src/diamonds/models/neighbours.py").write_text(NEW_MODEL)
    entries = small.folder / "conf/base/parameters_models.yml"
    entries.write_text(entries.read_text() + "\n  neighbours:\n    n_neighbors: 7\n")

    small.succeed("kedro", "run")

    leaderboard = json.loads(small.newest("08_reporting/leaderboard.json").read_text())
    assert {row["model"] for row in leaderboard} == {*models.available(), "neighbours"}
    runs, _ = memory(small)
    new = next(model for model in runs[0]["models"] if model["name"] == "neighbours")
    assert new["parameters"] == {"n_neighbors": 7}
    assert load(small.folder / new["artefact"]).name == "neighbours"
    assert "neighbours" in small.succeed("diamonds", "history")


def test_the_history_is_kept_in_postgresql_where_the_url_says_so(small, postgresql_url):
    small.succeed("diamonds", "migrate", DIAMONDS_DATABASE_URL=postgresql_url)

    small.succeed("kedro", "run", DIAMONDS_DATABASE_URL=postgresql_url)

    champion = json.loads(small.succeed("diamonds", "champion", "--json", DIAMONDS_DATABASE_URL=postgresql_url))
    assert champion["name"] == "xgboost"
    assert not (small.folder / "data/diamonds.db").exists()


def test_two_files_of_the_same_stones_count_their_duplicates(tmp_path, stones):
    content = stones.head(800).to_csv(index=False)
    project = quick(make_project(tmp_path / "project", {"a.csv": content, "b.csv": content}))

    project.succeed("kedro", "run", "--pipelines=data_engineering")

    (run,), _ = memory(project)
    assert (run["rows_in"], run["duplicates"]) == (1600, 800)
