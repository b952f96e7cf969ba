import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from diamonds.streams.science.calibration import wilson
from diamonds.streams.science.scores import BLOCK, BLOCKS, ClassificationScores, RegressionScores


def drawn(rows: int, rate: float = 0.35, seed: int = 0) -> list[tuple[float, bool]]:
    """Probabilities that are right about the outcomes drawn from them."""
    random = np.random.default_rng(seed)
    probabilities = 1 / (1 + np.exp(-random.normal(math.log(rate / (1 - rate)), 1.5, rows)))
    return list(zip(probabilities.tolist(), (random.random(rows) < probabilities).tolist(), strict=True))


def scored(predictions: list[tuple[float, bool]]) -> ClassificationScores:
    scores = ClassificationScores()
    for probability, outcome in predictions:
        scores.add(probability, outcome)
    return scores


@pytest.mark.parametrize("rate", [0.5, 0.35, 0.01])
def test_the_scores_are_those_of_scikit_learn(rate):
    predictions = drawn(20_000, rate)
    probabilities, outcomes = zip(*predictions, strict=True)

    report = scored(predictions).report()

    assert report["rows"] == 20_000
    assert report["base_rate"] == sum(outcomes) / 20_000
    assert report["always_no_accuracy"] == 1 - report["base_rate"]
    assert report["accuracy"] == sum((p > 0.5) == y for p, y in predictions) / 20_000
    assert report["log_loss"] == pytest.approx(log_loss(outcomes, probabilities), rel=1e-12)
    assert report["brier"] == pytest.approx(brier_score_loss(outcomes, probabilities), rel=1e-12)
    assert report["auc"] == pytest.approx(roc_auc_score(outcomes, probabilities), abs=1e-4)


def test_the_recent_scores_are_of_the_newest_blocks_alone():
    predictions = [(0.9, False)] * 1_000 + drawn(BLOCK * BLOCKS - 7)

    report = scored(predictions).report()

    newest = drawn(BLOCK * BLOCKS - 7)
    assert len(newest) == 493
    assert report["recent_accuracy"] == pytest.approx((sum((p > 0.5) == y for p, y in newest)) / 493)
    assert report["recent_log_loss"] == pytest.approx(log_loss([y for _, y in newest], [p for p, _ in newest]))
    assert report["accuracy"] < 0.4 < report["recent_accuracy"]


def base_rates(outcomes: list[bool]) -> list[float]:
    """The share of yeses before each row, one of each counted beforehand."""
    return [(sum(outcomes[:place]) + 1) / (place + 2) for place in range(len(outcomes))]


@pytest.mark.parametrize("rate", [0.5, 0.35, 0.02])
def test_the_scores_of_the_newest_rows_and_of_the_base_rate_are_those_of_scikit_learn(rate):
    predictions = drawn(3_021, rate, seed=1)
    probabilities, outcomes = (list(column) for column in zip(*predictions, strict=True))
    rates = base_rates(outcomes)

    report = scored(predictions).report()

    for prefix, rows, near in ("", 3_021, 5e-4), ("recent_", 471, 2e-4):
        y, p, base = outcomes[-rows:], probabilities[-rows:], rates[-rows:]
        assert report[f"{prefix}log_loss"] == pytest.approx(log_loss(y, p), rel=1e-12)
        assert report[f"{prefix}brier"] == pytest.approx(brier_score_loss(y, p), rel=1e-12)
        assert report[f"{prefix}auc"] == pytest.approx(roc_auc_score(y, p), abs=near)
        assert report[f"{prefix}base_rate_log_loss"] == pytest.approx(log_loss(y, base), rel=1e-12)
        assert report[f"{prefix}base_rate_brier"] == pytest.approx(brier_score_loss(y, base), rel=1e-12)
        assert report[f"{prefix}always_no_accuracy"] == pytest.approx(1 - sum(y) / rows, rel=1e-12)
        assert report[f"{prefix}base_rate_log_loss"] > report[f"{prefix}log_loss"]


def test_the_calibration_of_the_newest_rows_is_of_them_alone():
    predictions = [(0.95, False)] * 2_000 + drawn(BLOCK * BLOCKS - 20)

    bins = scored(predictions).recent_calibration()

    newest = drawn(BLOCK * BLOCKS - 20)
    for each in bins:
        inside = [(p, y) for p, y in newest if each["low"] <= p < each["high"]]
        assert each["rows"] == len(inside)
        assert each["predicted"] == pytest.approx(np.mean([p for p, _ in inside]), abs=4e-4)
        assert each["observed"] == pytest.approx(np.mean([y for _, y in inside]), rel=1e-12)
    assert bins[9]["observed_low"] == wilson(bins[9]["observed"] * bins[9]["rows"], bins[9]["rows"])[0]
    assert ClassificationScores().recent_calibration()[9]["rows"] == 0


def test_before_any_row_nothing_is_said_and_of_one_outcome_no_auc():
    assert {name for name, value in ClassificationScores().report().items() if value is not None} == {"rows"}
    assert scored([(0.2, False)] * 3).report()["auc"] is None


def test_an_impossible_mistake_costs_what_the_nearest_probability_costs():
    scores = ClassificationScores()

    assert scores.add(0.0, True) == pytest.approx(34.539, abs=1e-3)
    assert scores.add(1.0, False) == pytest.approx(34.539, abs=1e-3)
    assert scores.add(1.0, True) == scores.add(0.0, False) == 0
    assert scores.report()["auc"] == 0.5
    assert scores.report()["brier"] == 0.5


def test_right_probabilities_lie_within_the_bars_of_their_calibration_and_wrong_ones_do_not():
    honest, boastful = drawn(20_000), [(min(p * 1.5, 1.0), y) for p, y in drawn(20_000)]

    inside = [
        each["observed_low"] <= each["predicted"] <= each["observed_high"] for each in scored(honest).calibration()
    ]
    outside = [
        each["predicted"] > each["observed_high"] for each in scored(boastful).calibration() if each["low"] > 0.2
    ]

    assert sum(inside) >= 8
    assert all(outside)


def test_the_bins_of_the_calibration_hold_every_row_once():
    bins = scored(drawn(1_000)).calibration()

    assert sum(each["rows"] for each in bins) == 1_000
    assert [(each["low"], each["high"]) for each in bins[:2]] == [(0.0, 0.1), (0.1, 0.2)]
    assert all(each["low"] <= each["predicted"] <= each["high"] for each in bins)
    assert ClassificationScores().calibration()[3]["observed"] is None


def test_the_interval_of_a_share_is_wilsons():
    assert wilson(0, 10) == pytest.approx((0, 0.27753), abs=1e-5)
    assert wilson(10, 10) == pytest.approx((0.72247, 1), abs=1e-5)
    assert wilson(50, 100) == pytest.approx((0.40383, 0.59617), abs=1e-5)


probabilities = st.floats(0, 1)


@given(st.lists(st.tuples(probabilities, st.booleans()), max_size=130), st.data())
def test_scores_that_were_saved_and_loaded_go_on_bit_for_bit(predictions, data):
    cut = data.draw(st.integers(0, len(predictions)))
    resumed = ClassificationScores()

    resumed.load(json.loads(json.dumps(scored(predictions[:cut]).dump())))
    for prediction in predictions[cut:]:
        resumed.add(*prediction)

    assert json.dumps(resumed.dump()) == json.dumps(scored(predictions).dump())


def test_what_is_saved_stays_small():
    assert len(json.dumps(scored(drawn(20_000)).dump())) < 5_000


def test_errors_of_numbers_are_scored_beside_the_mean_so_far():
    scores, answers = RegressionScores(), [1.0, 2.0, 6.0, 4.0]

    for answer in answers:
        scores.add(answer + (1 if answer < 4 else -3), answer)

    report = scores.report()
    assert (report["rows"], report["mae"], report["bias"], report["rmse"]) == (4, 2.0, -1.0, math.sqrt(5))
    of_means = (1 - 0) ** 2 + (2 - 1) ** 2 + (6 - 1.5) ** 2 + (4 - 3) ** 2
    assert report["r2"] == 1 - 20 / of_means
    assert report["recent_mae"] == 2.0
    assert {name for name, value in RegressionScores().report().items() if value is not None} == {"rows"}


def test_scores_of_numbers_that_were_saved_and_loaded_go_on_bit_for_bit():
    pairs = np.random.default_rng(1).normal(size=(777, 2)).tolist()
    straight, resumed = RegressionScores(), RegressionScores()

    for number, pair in enumerate(pairs):
        straight.add(*pair)
        if number % 100 == 3:
            document = json.loads(json.dumps(resumed.dump()))
            resumed = RegressionScores()
            resumed.load(document)
        resumed.add(*pair)

    assert json.dumps(resumed.dump()) == json.dumps(straight.dump())
