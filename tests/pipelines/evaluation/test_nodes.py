import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from diamonds.datasets.champion import CurrentChampion
from diamonds.errors import ModelError
from diamonds.features import Proportions
from diamonds.intervals import ConformalBand
from diamonds.pipelines.evaluation import nodes
from diamonds.pipelines.evaluation.nodes import Promotion
from diamonds.pricer import Pricer, TrainingSummary
from diamonds.schema import FEATURES, frame_hash
from diamonds.stones import SortedStones
from diamonds.store.history import Champion

RULE = Promotion(metric="mae", min_gain=0.01, sure=0.95, max_band_loss=0.05, resamples=400, seed=1)


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
    band = ConformalBand(0.9, {"any": (0.5, 2)})
    return Pricer(
        name, PerCarat(usd), band, band, Proportions.of(stones), summary, SortedStones.of(other_than(stones)), "v2"
    )


def other_than(stones):
    """Stones to have learned from, none of which is among these."""
    return stones.assign(depth=stones["depth"] + 0.05)


def champion(pricer_, problem=None):
    now = datetime.now(UTC)
    entry = Champion(7, now, "it was the best", "linear", "v1", now, {}, {}, "data/06_models/v1")
    return CurrentChampion(entry, Path("data/06_models/v1"), pricer_, problem)


def judge(holdout, challenger_usd, standing, rule=RULE):
    return judge_pricer(holdout, pricer(holdout, challenger_usd, "xgboost"), standing, rule)


def judge_pricer(holdout, challenger, standing, rule=RULE):
    metrics, quotes = nodes.evaluate(challenger, holdout)
    return nodes.judge(nodes.rank(rule, metrics), holdout, standing, rule, quotes_of_xgboost=quotes)


def test_metrics_are_given_overall_and_by_segment(holdout):
    metrics, quotes = nodes.evaluate(pricer(holdout, 5500), holdout)

    assert metrics["holdout"] == frame_hash(holdout)
    assert metrics["overall"]["mape"] == pytest.approx(0.1, abs=1e-4)
    assert metrics["overall"]["mae"] == pytest.approx(holdout["carat"].mean() * 500, abs=0.01)
    assert metrics["overall"]["bias"] == pytest.approx(metrics["overall"]["mae"])
    assert metrics["overall"]["coverage"] == 1.0
    assert quotes["price"].tolist() == (holdout["carat"] * 5500).round(2).tolist()
    assert set(metrics["segments"]) == {"carat", "cut", "color", "clarity"}
    assert sum(segment["stones"] for segment in metrics["segments"]["cut"].values()) == len(holdout)
    assert metrics["segments"]["carat"]["2+"]["mae"] > metrics["segments"]["carat"]["0-0.5"]["mae"]


class Undefined(PerCarat):
    """Computes what is no number."""

    def predict(self, stones):
        return super().predict(stones) * np.nan


def test_a_model_whose_prices_are_no_numbers_is_refused_by_name(holdout):
    broken = dataclasses.replace(pricer(holdout, 5000, "forest"), estimator=Undefined(5000))

    with pytest.raises(ModelError, match="forest v2 computes prices that are no numbers"):
        nodes.evaluate(broken, holdout)


def test_the_leaderboard_begins_with_the_best(holdout):
    rows = nodes.rank(RULE, *(nodes.evaluate(pricer(holdout, usd, str(usd)), holdout)[0] for usd in (6000, 5100, 4000)))

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
    assert "on the same 3,000 stones: +50.00% (95% interval +" in decision["reason"]
    assert decision["gain"]["sureness"] == 1.0


@pytest.mark.parametrize("usd", [5200, 5300, 5199])
def test_a_challenger_that_is_not_better_by_enough_is_not(holdout, usd):
    decision = judge(holdout, usd, champion(pricer(holdout, 5200)))

    assert not decision["promote"]
    assert "does not beat the champion linear" in decision["reason"]
    assert "more than 1.00% in 95% of resamples is asked for" in decision["reason"]


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
    rule = RULE.model_copy(update={"metric": metric})
    challenger = pricer(holdout, 5100, "xgboost")

    decision = judge_pricer(holdout, challenger, champion(pricer(holdout, 5200)), rule)

    assert decision["metric"] == metric
    assert decision["challenger"] == nodes.evaluate(challenger, holdout)[0]["overall"][metric]
    assert metric.upper() in decision["reason"]


class Noisy(PerCarat):
    """Prices that miss by as much as another's, on other stones."""

    def __init__(self, usd, seed):
        super().__init__(usd)
        self.seed = seed

    def predict(self, stones):
        return super().predict(stones) * np.random.default_rng(self.seed).lognormal(0, 0.1, len(stones))


def test_a_gain_that_luck_explains_promotes_hardly_ever(holdout):
    """Two equally good models: one is always ahead on a small holdout, but the resamples disagree about it."""
    few = holdout.head(300).reset_index(drop=True)
    rule = RULE.model_copy(update={"min_gain": 0, "max_band_loss": 1})
    promoted = 0
    for seed in range(16):
        pair = [
            dataclasses.replace(pricer(few, 5000, "xgboost"), estimator=Noisy(5000, seed + side)) for side in (0, 1000)
        ]
        ahead, behind = sorted(pair, key=lambda each: nodes.evaluate(each, few)[0]["overall"]["mae"])
        decision = judge_pricer(few, ahead, champion(behind), rule)
        assert decision["challenger"] < decision["champion"]
        promoted += decision["promote"]

    assert promoted <= 4


class WorseAbove(PerCarat):
    """Exact for light stones, off by a third for heavy ones."""

    def predict(self, stones):
        return super().predict(stones) * np.where(stones["carat"] >= 2, 1.33, 1.0)


def test_a_challenger_that_is_much_worse_in_one_carat_band_is_not_promoted(classic):
    stones_ = classic.sample(8000, random_state=3).reset_index(drop=True)
    holdout = stones_.assign(price=stones_["carat"] * 5000)
    challenger = dataclasses.replace(pricer(holdout, 5000, "xgboost"), estimator=WorseAbove(5000))
    standing = champion(pricer(holdout, 5500))

    decision = judge_pricer(holdout, challenger, standing)
    patient = judge_pricer(holdout, challenger, standing, RULE.model_copy(update={"max_band_loss": 3.0}))

    assert decision["gain"]["low"] > RULE.min_gain
    assert not decision["promote"]
    assert "is worse by 230.0% for stones of 2+ ct, at most 5% is let pass" in decision["reason"]
    assert patient["promote"]


def test_figures_show_every_model_and_both_axes(holdout):
    challenger = pricer(holdout, 5100)
    rows = nodes.rank(RULE, nodes.evaluate(challenger, holdout)[0])

    against = nodes.plot_actual_against_predicted(challenger, holdout)
    board = nodes.plot_leaderboard(rows, RULE)

    assert len(against.data[0].x) == min(nodes.MOST_POINTS, len(holdout))
    assert against.layout.xaxis.title.text == "actual price, USD"
    assert list(board.data[0].y) == ["linear"]
    assert board.layout.xaxis.title.text == "MAE, USD"


def test_the_importances_are_shown_in_percent_of_the_price_and_in_dollars(holdout):
    figure = nodes.plot_importances(pricer(holdout, 5000), holdout)

    bars = figure.data[0]
    assert (len(bars.y), bars.y[-1], bars.text[0]) == (9, "carat", "0.0%")
    assert bars.x[-1] > 0.5
    assert bars.customdata[-1] > 1000
    assert figure.layout.title.text == "linear: mean effect on the price in percent, over 200 holdout stones"


def test_prices_are_judged_as_they_are_quoted_in_whole_cents(holdout):
    exact = dataclasses.replace(pricer(holdout, 5000), estimator=PerCarat(5000.004999))

    metrics, _ = nodes.evaluate(exact, holdout.assign(price=holdout["price"].round(2)))

    quoted = exact.price(holdout)["price"]
    assert metrics["overall"]["mae"] == pytest.approx((quoted - holdout["price"].round(2)).abs().mean(), abs=1e-12)
    assert pd.Series(quoted).round(2).equals(quoted)


def having_learned_from(stones, usd):
    return dataclasses.replace(pricer(stones, usd), stones=SortedStones.of(stones))


def test_stones_that_the_champion_has_learned_from_judge_neither(holdout):
    """As where the split is changed: it knows their prices by heart, and would always win."""
    holdout = holdout.drop_duplicates(list(FEATURES))
    known, unknown = holdout.iloc[:2000], holdout.iloc[2000:]
    decision = judge(holdout, 4900, champion(having_learned_from(known, 4000)))

    assert decision["promote"]
    assert decision["champion"] == pytest.approx(unknown["carat"].mean() * 1000, abs=0.01)
    assert decision["challenger"] == pytest.approx(unknown["carat"].mean() * 100, abs=0.01)
    assert f"xgboost with MAE ${decision['challenger']:,.2f} beats" in decision["reason"]
    assert f"on the same {len(unknown):,} stones" in decision["reason"]


def test_a_champion_that_has_learned_from_nearly_all_that_judge_stays_and_the_reason_says_why(holdout):
    holdout = holdout.drop_duplicates(list(FEATURES))
    decision = judge(holdout, 4900, champion(having_learned_from(holdout.iloc[30:], 4000)))

    assert not decision["promote"]
    assert decision["reason"].endswith(
        "cannot be compared with the champion linear, which has learned from all but 30 of the stones held out:"
        " the split has changed; `diamonds champion set` decides by hand"
    )


def test_models_judged_on_different_holdouts_are_not_ranked(holdout):
    judged = [
        nodes.evaluate(pricer(holdout, 5100, name), stones)[0]
        for name, stones in (("linear", holdout), ("xgboost", holdout.head(500)))
    ]

    with pytest.raises(ModelError, match=r"not judged on the same holdout.* linear v2 on \w{12}, xgboost v2 on \w{12}"):
        nodes.rank(RULE, *judged)


def test_quotes_of_another_holdout_decide_nothing(holdout):
    metrics, quotes = nodes.evaluate(pricer(holdout, 4900, "xgboost"), holdout)

    with pytest.raises(ModelError, match=r"xgboost v2 was judged on another holdout .* judges it anew"):
        nodes.judge(
            nodes.rank(RULE, metrics), holdout.sample(frac=1, random_state=1).reset_index(drop=True),
            champion(pricer(holdout, 4000)), RULE, quotes_of_xgboost=quotes,
        )  # fmt: skip
