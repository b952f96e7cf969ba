import json

import pytest

from diamonds import models


def test_history_shows_each_run_with_its_models_and_metrics(trained):
    shown = trained.succeed("diamonds", "history")

    assert "succeeded, 53,940 rows, 23 quarantined" in shown
    assert "xgboost with MAE $2" in shown
    assert "became champion" in shown
    for model in models.available():
        assert model in shown


def test_history_as_json_is_the_same_for_programs(trained):
    (run,) = json.loads(trained.succeed("diamonds", "history", "--json", "--limit", "1"))

    assert run["outcome"] == "succeeded"
    assert {model["name"] for model in run["models"]} == set(models.available())
    assert run["models"][0]["metrics"]["overall"]["mae"] < 270


def test_champion_shows_which_model_serves_since_when_and_why(trained):
    shown = trained.succeed("diamonds", "champion")
    facts = json.loads(trained.succeed("diamonds", "champion", "--json"))

    assert facts["version"] in shown
    assert facts["reason"] in shown
    assert facts["name"] == "xgboost"
    assert facts["promoted_at"].endswith("+00:00")


def test_without_a_champion_one_line_says_what_to_do(small):
    done = small.run("diamonds", "champion")

    assert done.returncode == 1
    assert done.stderr == "diamonds: no champion yet: `kedro run` trains and chooses one\n"
    assert done.stdout == ""
    assert small.succeed("diamonds", "history") == "No run yet: `kedro run` makes the first.\n"


def test_migrate_says_what_it_did(small):
    assert small.succeed("diamonds", "migrate") == "Migrated from nothing to 0001.\n"
    assert small.succeed("diamonds", "migrate") == "The tables are at revision 0001.\n"


@pytest.mark.parametrize("words", [("histori",), ("history", "--limit", "0"), ("history", "--colour")])
def test_wrong_usage_is_status_two(small, words):
    assert small.run("diamonds", *words).returncode == 2


def test_a_database_that_is_away_is_one_line_and_status_one(small):
    done = small.run("diamonds", "history", DIAMONDS_DATABASE_URL="postgresql+psycopg://nobody@127.0.0.1:1/nothing")

    assert done.returncode == 1
    assert done.stderr.startswith(
        "diamonds: the database postgresql+psycopg://nobody@127.0.0.1:1/nothing cannot be reached"
    )
    assert "Traceback" not in done.stderr
