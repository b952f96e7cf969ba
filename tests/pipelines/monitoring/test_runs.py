"""`kedro run --pipelines=monitoring`: what it leaves, and what it leaves alone."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from diamonds.schema import FEATURES
from diamonds.store import history, partitions, sales, traffic
from diamonds.store.database import open_database
from project import Project, make_project, memory, stones_of

MONITORING = ("kedro", "run", "--pipelines=monitoring")


def ask(project, stones, minutes_ago=10):
    """Leave an exchange for each stone in the log."""
    moment = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    records = [
        {
            "request_id": f"{partitions.least_id(moment)}-7000-8000-{number:012x}",
            "received_at": moment.isoformat(timespec="microseconds"),
            "duration_ms": 1.5, "method": "POST", "path": "/predict", "status": 200, "request_body": stone,
            "response_body": {"price": 1}, "model": "xgboost", "version": "v1", "client": "127.0.0.1",
        }
        for number, stone in enumerate(stones[list(FEATURES)].to_dict("records"))
    ]  # fmt: skip
    engine = open_database(project.settings)
    traffic.record(engine, [json.dumps(each, separators=(",", ":")) for each in records])
    engine.dispose()


def sell(project, holdout, market):
    """Sell the holdout's stones at so many times their price, quoted at it by the champion."""
    engine = open_database(project.settings)
    champion = history.champion(engine)
    for place, stone in enumerate(holdout.to_dict("records")):
        price = stone.pop("price")
        quote = {"price": price, "low": 0.9 * price, "high": 1.1 * price, "assumed": []}
        made_by = {"model": champion.name, "version": champion.version}
        sales.record(engine, "of the holdout", place, price * market, stone=stone, quote=quote, **made_by)
    engine.dispose()


def report_of(project):
    return json.loads(project.newest("08_reporting/monitoring_report.json").read_text())


def test_stones_like_the_trainings_keep_the_champion_and_the_history_as_it_was(small_trained):
    before = memory(small_trained)
    ask(small_trained, stones_of(small_trained, "holdout").head(300))

    said = small_trained.run(*MONITORING)

    report, (_, champion) = report_of(small_trained), before
    assert said.returncode == 0, said.stderr
    assert (
        "Retrain: no. no feature of the 300 stones asked about has moved from the training" in said.stdout + said.stderr
    )
    assert (report["retrain"], report["stones"]) == ("no", 300)
    assert (report["model"], report["version"]) == (champion.name, champion.version)
    assert memory(small_trained) == before
    figure = json.loads(small_trained.newest("08_reporting/monitoring_plot.json").read_text())
    assert len(figure["data"][0]["x"]) == len(FEATURES)


def test_five_hundred_stones_of_twice_the_weight_say_yes(small_trained):
    heavy = stones_of(small_trained, "train").sample(500, random_state=1)
    ask(small_trained, heavy.assign(carat=heavy["carat"] * 2))

    small_trained.succeed(*MONITORING)

    report = report_of(small_trained)
    assert report["retrain"] == "yes"
    assert report["features"]["carat"]["moved"]
    assert report["outside"] > 0


def test_a_market_that_went_up_says_yes_by_the_prices_paid(small_trained):
    sell(small_trained, stones_of(small_trained, "holdout").head(100), 1.3)

    small_trained.succeed(*MONITORING)

    report = report_of(small_trained)
    assert (report["retrain"], report["stones"]) == ("yes", 0)
    assert report["sales"]["live"]["coverage"] == 0
    assert report["sales"]["live"]["mape"] == pytest.approx(0.3 / 1.3)
    assert report["sales"]["holdout"]["mape"] < 0.2
    figure = json.loads(small_trained.newest("08_reporting/monitoring_plot.json").read_text())
    assert [trace["name"] for trace in figure["data"]] == ["index", "may have moved", "live", "holdout"]


def test_an_empty_log_says_no_and_a_window_of_its_own_is_looked_at(small_trained):
    ask(small_trained, stones_of(small_trained, "train").head(5), minutes_ago=90)

    small_trained.succeed(*MONITORING, "--params=since=1h")
    empty = report_of(small_trained)
    small_trained.succeed(*MONITORING, "--params=since=2026-01-01,until=10m")
    asked = report_of(small_trained)

    assert (empty["retrain"], empty["reason"]) == ("no", "nothing was asked")
    assert (asked["stones"], asked["since"]) == (5, "2026-01-01T00:00:00Z")
    assert asked["until"] < asked["at"]


def test_without_a_champion_it_says_what_makes_one(tmp_path):
    project = make_project(tmp_path / "project", {})

    failed = project.run(*MONITORING)

    assert failed.returncode == 1
    assert "there is no champion to watch yet: `kedro run` trains one" in failed.stderr + failed.stdout
    assert not (project.folder / "data/08_reporting").exists()
    assert memory(project) == ([], None)


def test_with_the_database_away_it_says_so(tmp_path):
    project: Project = make_project(tmp_path / "project", {})

    failed = project.run(*MONITORING, DIAMONDS_DATABASE_URL="postgresql+psycopg://nobody@127.0.0.1:1/none")

    assert failed.returncode == 1
    assert (
        "the database postgresql+psycopg://nobody@127.0.0.1:1/none cannot be reached" in failed.stderr + failed.stdout
    )


def test_a_parameter_that_is_not_known_stops_the_run_by_its_name(small_trained):
    (small_trained.folder / "conf/local/parameters_monitoring.yml").write_text("monitoring: {physics: 1}\n")

    failed = small_trained.run(*MONITORING)

    assert failed.returncode == 1
    assert "physics" in failed.stderr + failed.stdout


def test_the_default_run_does_not_watch():
    from diamonds.pipeline_registry import register_pipelines

    pipelines = register_pipelines()

    assert {node.name for node in pipelines["monitoring"].nodes} == {"monitoring.watch", "monitoring.plot_report"}
    stages = ("data_engineering", "training", "evaluation", "packaging", "reporting")
    assert set(pipelines["__default__"].nodes) == {node for stage in stages for node in pipelines[stage].nodes}
