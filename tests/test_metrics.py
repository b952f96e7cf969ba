import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sklearn_metrics

from diamonds.metrics import band_quality, errors, paired_gain, segments


def test_errors_equal_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    actual = pd.Series(rng.lognormal(8, 1, 500))
    predicted = actual * pd.Series(rng.lognormal(0, 0.1, 500))

    found = errors(actual, predicted)

    assert found["mae"] == pytest.approx(sklearn_metrics.mean_absolute_error(actual, predicted), rel=1e-12)
    assert found["rmse"] == pytest.approx(sklearn_metrics.root_mean_squared_error(actual, predicted), rel=1e-12)
    assert found["r2"] == pytest.approx(sklearn_metrics.r2_score(actual, predicted), rel=1e-12)
    assert found["mape"] == pytest.approx(sklearn_metrics.mean_absolute_percentage_error(actual, predicted), rel=1e-12)


def test_bias_is_positive_where_stones_are_priced_too_high():
    assert errors(pd.Series([100.0, 200.0]), pd.Series([110.0, 230.0]))["bias"] == 20.0


@pytest.mark.parametrize(("actual", "predicted"), [([5.0, 5.0], [4.0, 6.0]), ([5.0], [4.0])])
def test_an_undefined_r2_is_left_out(actual, predicted):
    assert "r2" not in errors(pd.Series(actual), pd.Series(predicted))


def test_coverage_counts_prices_inside_their_band_and_width_is_relative():
    ones = pd.Series([100.0, 100.0, 100.0, 100.0])

    quality = band_quality(ones, low=pd.Series([80.0, 80.0, 101.0, 80.0]), high=pd.Series([125.0, 125.0, 125.0, 99.0]))

    assert quality["coverage"] == 0.5
    assert band_quality(ones, ones * 0.8, ones * 1.25)["width"] == pytest.approx(0.45)


def test_segments_of_each_kind_hold_every_stone_once(stones):
    for kind in ("carat", "cut", "color", "clarity"):
        counted = sum(members.astype(int) for each, _, members in segments(stones) if each == kind)
        assert (counted == 1).all()


def compared(seed, challenger_spread, champion_spread, count=800):
    rng = np.random.default_rng(seed)
    actual = rng.lognormal(8, 1, count)
    return pd.DataFrame(
        {
            "actual": actual,
            "challenger": actual * rng.lognormal(0, challenger_spread, count),
            "champion": actual * rng.lognormal(0, champion_spread, count),
        }
    )


@pytest.mark.parametrize("metric", ["mae", "rmse", "mape"])
def test_a_gain_is_the_share_by_which_the_error_is_less(metric):
    prices = compared(0, 0.05, 0.1)
    ours, theirs = (errors(prices["actual"], prices[name])[metric] for name in ("challenger", "champion"))

    found = paired_gain(prices, metric, more_than=0, resamples=500, seed=1)

    assert found.gain == pytest.approx(1 - ours / theirs)
    assert found.low < found.gain < found.high
    assert found.sureness == 1.0


def test_the_interval_of_a_gain_holds_the_true_one_as_often_as_it_states():
    """Two models whose spreads are 0.08 and 0.1: the true gain in MAPE is known from a large sample."""
    true_gain = paired_gain(compared(1, 0.08, 0.1, 400_000), "mape", more_than=0, resamples=2, seed=1).gain

    found = [
        paired_gain(compared(seed, 0.08, 0.1), "mape", more_than=0, resamples=300, seed=seed) for seed in range(200)
    ]

    assert np.mean([each.low <= true_gain <= each.high for each in found]) == pytest.approx(0.95, abs=0.04)


def test_equal_models_have_no_gain_and_perfect_ones_no_division_by_zero():
    prices = compared(0, 0.1, 0.1)
    same = prices.assign(challenger=prices["champion"])
    perfect = prices.assign(challenger=prices["actual"], champion=prices["actual"])

    for each in (same, perfect):
        found = paired_gain(each, "mae", more_than=0, resamples=100, seed=1)
        assert (found.gain, found.low, found.high, found.sureness) == (0.0, 0.0, 0.0, 0.0)
