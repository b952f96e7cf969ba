"""From a folder of CSVs to a champion: `kedro run` as people call it."""

import json
import shutil
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from xgboost import XGBRegressor

from diamonds import models
from diamonds.metrics import errors
from diamonds.pricer import load
from diamonds.schema import COLUMNS, GRADES, MEASUREMENTS, frame_hash
from diamonds.store import history
from diamonds.store.database import open_database
from diamonds.store.tables import Promotion
from project import Project, break_model, make_project, quick


def memory(project: Project):
    """The runs, the newest first, and the champion."""
    engine = open_database(project.settings)
    try:
        return history.runs(engine, limit=100), history.champion(engine)
    finally:
        engine.dispose()


def metrics_of(project, model):
    return json.loads(project.newest(f"08_reporting/{model}_metrics.json").read_text())


def stones_of(project, dataset):
    return pd.read_parquet(project.newest(f"03_primary/{dataset}.parquet"))


def keys(frame):
    return set(frame.drop(columns="price").itertuples(index=False, name=None))


# One run on the data that comes with the project, with the default parameters.


def test_the_models_reach_their_bars_on_the_holdout(trained):
    overall = {model: metrics_of(trained, model)["overall"] for model in models.available()}

    assert overall["xgboost"]["mae"] <= 262
    assert overall["xgboost"]["r2"] >= 0.982
    assert overall["xgboost"]["mape"] <= 0.063
    assert overall["hist_gradient_boosting"]["mae"] <= 275
    assert overall["linear"]["mae"] <= 560
    assert overall["median"]["mae"] > 2500


def test_the_tuned_model_beats_xgboosts_defaults_on_the_same_split(trained):
    train, holdout = (_as_ranks(stones_of(trained, name)) for name in ("train", "holdout"))
    features = [column for column in COLUMNS if column != "price"]

    for target, back in ((np.log, np.exp), (np.asarray, np.asarray)):
        defaults = XGBRegressor(n_jobs=2).fit(train[features], target(train["price"]))
        predicted = pd.Series(back(defaults.predict(holdout[features])), index=holdout.index, dtype=float)
        assert metrics_of(trained, "xgboost")["overall"]["mae"] < errors(holdout["price"], predicted)["mae"]


def _as_ranks(stones):
    return stones.assign(**{field: stones[field].map(grades.index) for field, grades in GRADES.items()})


def test_the_band_holds_what_it_states(trained):
    metrics = metrics_of(trained, "xgboost")

    assert 0.88 <= metrics["overall"]["coverage"] <= 0.92
    assert all(band["coverage"] >= 0.85 for band in metrics["segments"]["carat"].values() if band["stones"] >= 100)


def test_the_band_holds_what_it_states_where_only_the_four_cs_are_given(trained):
    metrics = metrics_of(trained, "xgboost")

    assert 0.88 <= metrics["four_cs"]["coverage"] <= 0.92
    assert metrics["four_cs"]["width"] > metrics["overall"]["width"]


@pytest.mark.parametrize("model", models.available())
@pytest.mark.parametrize(
    "missing",
    [["table"], ["z"], ["x"], ["x", "y"], ["x", "y", "z"], ["depth", "z"], ["x", "y", "depth"], list(MEASUREMENTS)],
    ids=",".join,
)
def test_the_band_holds_what_it_states_whatever_was_not_measured(trained, model, missing):
    pricer = load(trained.newest(f"06_models/{model}_pricer"))
    holdout = stones_of(trained, "holdout").iloc[::3]

    quoted = pricer.price(holdout.assign(**dict.fromkeys(missing, np.nan)))

    assert holdout["price"].between(quoted["low"], quoted["high"]).mean() >= 0.88


def test_hardly_any_stone_of_the_holdout_lies_outside(trained):
    named = load(trained.newest("06_models/xgboost_pricer")).outside_many(stones_of(trained, "holdout"))

    assert sum(map(bool, named)) / len(named) < 0.002


def test_every_raw_row_is_accounted_for(trained):
    (run,), _ = memory(trained)
    quarantine = pd.read_csv(trained.newest("02_intermediate/quarantine.csv"))

    assert (run["rows_in"], run["quarantined"], run["duplicates"]) == (53_940, 23, 145)
    assert run["training_rows"] + run["holdout_rows"] == 53_940 - 23 - 145
    assert len(quarantine) == 23
    assert quarantine["reason"].str.contains("must be more than 0|contradicts the weight").all()
    assert "y 58.9 mm contradicts the weight: a stone of 2 ct measures about 8.09 mm" in quarantine["reason"].tolist()
    assert run["files"][0]["name"] == "diamonds.csv"


def test_the_run_and_its_models_are_in_the_history_and_the_best_is_champion(trained):
    (run,), champion = memory(trained)

    assert run["outcome"] == "succeeded"
    assert [model["name"] for model in run["models"]] == ["xgboost", "hist_gradient_boosting", "linear", "median"]
    assert [model["promoted"] for model in run["models"]] == [True, False, False, False]
    assert all(model["version"] == run["id"] for model in run["models"])
    assert run["parameters"]["split"] == {"method": "hash", "holdout": 0.2, "seed": 42}
    assert (champion.name, champion.version) == ("xgboost", run["id"])
    assert champion.metrics == {
        key: metrics_of(trained, "xgboost")[key] for key in ("stones", "overall", "four_cs", "segments")
    }
    assert champion.reason == run["decision"]


def test_the_history_says_which_holdout_judged_and_how_long_each_node_took(trained):
    (run,), champion = memory(trained)

    holdouts = {run["holdout"], champion.holdout, *(model["holdout"] for model in run["models"])}
    assert holdouts == {frame_hash(stones_of(trained, "holdout"))}
    assert run["gain"] is None
    nodes = list(run["durations"])
    assert nodes.index("data_engineering.split") < nodes.index("xgboost.fit") < nodes.index("judgement.judge")
    assert run["durations"]["xgboost.tune"] > run["durations"]["median.fit"] >= 0


def test_the_champion_lies_whole_in_the_bento_store(trained):
    _, champion = memory(trained)
    store = trained.folder / "bentoml/models/diamonds"

    packed = load(store / (store / "latest").read_text())

    assert (packed.name, packed.version) == (champion.name, champion.version)
    assert packed.price(stones_of(trained, "holdout")).equals(
        load(trained.folder / champion.artefact).price(stones_of(trained, "holdout"))
    )


def test_every_model_and_figure_has_a_version_of_the_run_in_the_catalog(trained):
    (run,), _ = memory(trained)

    for model in models.available():
        assert (trained.folder / f"data/06_models/{model}_pricer/{run['id']}/{model}_pricer/manifest.json").is_file()
        figure = json.loads(trained.newest(f"08_reporting/{model}_actual_against_predicted.json").read_text())
        assert figure["layout"]["xaxis"]["title"]["text"] == "actual price, USD"
        importances = json.loads(trained.newest(f"08_reporting/{model}_importances.json").read_text())
        assert sorted(importances["data"][0]["y"]) == sorted(set(COLUMNS) - {"price"})
    leaderboard = json.loads(trained.newest("08_reporting/leaderboard.json").read_text())
    assert [row["model"] for row in leaderboard] == ["xgboost", "hist_gradient_boosting", "linear", "median"]
    assert json.loads(trained.newest("08_reporting/leaderboard_plot.json").read_text())["data"][0]["y"] == [
        "median",
        "linear",
        "hist_gradient_boosting",
        "xgboost",
    ]
    drawn = json.loads(trained.newest("08_reporting/history_plot.json").read_text())["data"]
    stars = [each for each in drawn if each["marker"].get("symbol") == "star" and each["x"] != [None]]
    assert {each["legendgroup"] for each in stars if each["x"]} == {"xgboost"}  # this run's own promotion is entered


def test_the_search_is_kept_with_its_trials(trained):
    search = json.loads(trained.newest("06_models/xgboost_params.json").read_text())

    assert search["trials"][0]["params"]["learning_rate"] == 0.05
    assert search["cross_validated_mae"] <= search["trials"][0]["mae"]
    assert 1 <= len(search["trials"]) <= 10  # a very busy machine may reach the timeout first
    assert 200 < search["params"]["n_estimators"] < 900  # found by stopping early, not the 600 of the entry


def test_the_search_is_drawn_by_optunas_figures(trained):
    titles = {
        "search_history": "xgboost: the error of each trial and the best so far",
        "search_importances": "xgboost: how much of the error's differences each parameter explains",
        "search_parallel_coordinates": "xgboost: each trial's parameters and its error",
    }

    for figure, title in titles.items():
        drawn = json.loads(trained.newest(f"08_reporting/xgboost_{figure}.json").read_text())
        assert drawn["layout"]["title"]["text"].startswith(title)
        assert drawn["data"]
    course = json.loads(trained.newest("08_reporting/xgboost_search_history.json").read_text())["data"][1]
    search = json.loads(trained.newest("06_models/xgboost_params.json").read_text())
    assert min(course["y"]) == pytest.approx(search["cross_validated_mae"])


def test_figures_and_frames_are_seen_in_kedro_viz(trained):
    trained.succeed("kedro", "viz", "build", "--include-previews", DO_NOT_TRACK="1")

    nodes = [json.loads(path.read_text()) for path in (trained.folder / "build/api/nodes").iterdir()]
    kinds = Counter(node["preview_type"] for node in nodes if node.get("preview"))
    assert kinds["PlotlyPreview"] == 13  # two a model, three of xgboost's search, the leaderboard and the history
    assert kinds["TablePreview"] == 8  # quarantine, appraisals, train, holdout, and each model's quotes
    assert kinds["JSONPreview"] >= 9  # parameters and metrics of each model, leaderboard, decision, data report


# Runs on small data: what happens next.


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
    assert "Read 3,000 rows from 1 CSV files: 0 quarantined, 0 duplicates;" in second.stderr
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
