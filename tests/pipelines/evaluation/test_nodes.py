import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from diamonds.datasets.champion import CurrentChampion
from diamonds.features import Proportions
from diamonds.intervals import ConformalBand
from diamonds.pipelines.evaluation import nodes
from diamonds.pipelines.evaluation.nodes import Promotion
from diamonds.pricer import Pricer, TrainingSummary
from diamonds.store.history import Champion

RULE = Promotion(metric="mae", min_gain=0.01)


class PerCarat:
    """Prices every stone by its weight alone."""

    def __init__(self, usd):
        self.usd = usd

    def predict(self, stones):
        return stones["carat"].to_numpy() * self.usd


@pytest.fixture
def holdout(stones):
    """Stones that really cost 5,000 dollars a carat."""
    return stones.assign(price=stones["carat"] * 5000)


def pricer(stones, usd, name="linear"):
    summary = TrainingSummary.of(stones, {}, "f")
    return Pricer(
        name, PerCarat(usd), ConformalBand(0.9, {"any": (0.5, 2)}), Proportions.of(stones), summary, stones, "v2"
    )


def champion(pricer_, problem=None):
    now = datetime.now(UTC)
    entry = Champion(7, now, "it was the best", "linear", "v1", now, {}, {}, "data/06_models/v1")
    return CurrentChampion(entry, Path("data/06_models/v1"), pricer_, problem)


def judge(holdout, challenger_usd, standing):
    metrics = nodes.evaluate(pricer(holdout, challenger_usd, "xgboost"), holdout)
    return nodes.judge(nodes.rank(RULE, metrics), holdout, standing, RULE)


def test_metrics_are_given_overall_and_by_segment(holdout):
    metrics = nodes.evaluate(pricer(holdout, 5500), holdout)

    assert metrics["overall"]["mape"] == pytest.approx(0.1, abs=1e-4)
    assert metrics["overall"]["mae"] == pytest.approx(holdout["carat"].mean() * 500, abs=0.01)
    assert metrics["overall"]["bias"] == pytest.approx(metrics["overall"]["mae"])
    assert metrics["overall"]["coverage"] == 1.0
    assert set(metrics["segments"]) == {"carat", "cut", "color", "clarity"}
    assert sum(segment["stones"] for segment in metrics["segments"]["cut"].values()) == len(holdout)
    assert metrics["segments"]["carat"]["2+"]["mae"] > metrics["segments"]["carat"]["0-0.5"]["mae"]


def test_the_leaderboard_begins_with_the_best(holdout):
    rows = nodes.rank(RULE, *(nodes.evaluate(pricer(holdout, usd, str(usd)), holdout) for usd in (6000, 5100, 4000)))

    assert [row["model"] for row in rows] == ["5100", "6000", "4000"]


def test_without_a_champion_the_best_becomes_the_first(holdout):
    decision = judge(holdout, 5100, None)

    assert decision["promote"]
    assert decision["previous_id"] == 0
    assert decision["reason"].startswith("xgboost with MAE $")
    assert decision["reason"].endswith("is the first champion")


def test_a_better_challenger_is_promoted(holdout):
    decision = judge(holdout, 5100, champion(pricer(holdout, 5200)))

    assert decision["promote"]
    assert (decision["model"], decision["version"], decision["previous_id"]) == ("xgboost", "v2", 7)
    assert decision["champion"] == pytest.approx(2 * decision["challenger"], rel=1e-4)
    assert "beats the champion linear" in decision["reason"]
    assert "on the same 3,000 stones: +50.00%" in decision["reason"]


@pytest.mark.parametrize("usd", [5200, 5300, 5199])
def test_a_challenger_that_is_not_better_by_enough_is_not(holdout, usd):
    decision = judge(holdout, usd, champion(pricer(holdout, 5200)))

    assert not decision["promote"]
    assert "does not beat the champion linear" in decision["reason"]
    assert "more than 1.00% is asked for" in decision["reason"]


def test_a_champion_is_judged_on_this_holdout_not_by_what_it_scored_once(holdout):
    """Yesterday's champion was trained when stones cost less: its old figures say nothing about it now."""
    dearer = holdout.assign(price=holdout["price"] * 1.5)

    decision = judge(dearer, 7500, champion(pricer(holdout, 5000)))

    assert decision["promote"]
    assert decision["champion"] == pytest.approx(holdout["carat"].mean() * 2500, rel=1e-4)


def test_a_champion_that_cannot_be_loaded_is_replaced_and_the_reason_says_so(holdout):
    decision = judge(holdout, 9000, champion(None, "there is no saved pricer at data/06_models/v1"))

    assert decision["promote"]
    assert "the champion cannot be loaded, there is no saved pricer at data/06_models/v1" in decision["reason"]


@pytest.mark.parametrize("metric", ["mae", "rmse", "mape"])
def test_the_rule_names_the_metric_that_decides(holdout, metric):
    rule = Promotion(metric=metric, min_gain=0)
    metrics = nodes.evaluate(pricer(holdout, 5100), holdout)

    decision = nodes.judge(nodes.rank(rule, metrics), holdout, champion(pricer(holdout, 5200)), rule)

    assert decision["metric"] == metric
    assert decision["challenger"] == metrics["overall"][metric]
    assert metric.upper() in decision["reason"]


def test_figures_show_every_model_and_both_axes(holdout):
    challenger = pricer(holdout, 5100)
    rows = nodes.rank(RULE, nodes.evaluate(challenger, holdout))

    against = nodes.plot_actual_against_predicted(challenger, holdout)
    board = nodes.plot_leaderboard(rows, RULE)

    assert len(against.data[0].x) == min(nodes.MOST_POINTS, len(holdout))
    assert against.layout.xaxis.title.text == "actual price, USD"
    assert list(board.data[0].y) == ["linear"]
    assert board.layout.xaxis.title.text == "MAE, USD"


def test_prices_are_judged_as_they_are_quoted_in_whole_cents(holdout):
    exact = dataclasses.replace(pricer(holdout, 5000), estimator=PerCarat(5000.004999))

    metrics = nodes.evaluate(exact, holdout.assign(price=holdout["price"].round(2)))

    quoted = exact.price(holdout)["price"]
    assert metrics["overall"]["mae"] == pytest.approx((quoted - holdout["price"].round(2)).abs().mean(), abs=1e-12)
    assert pd.Series(quoted).round(2).equals(quoted)
