import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sklearn_metrics

from diamonds.metrics import band_quality, errors, segments


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


def test_r2_of_equal_prices_is_undefined():
    assert np.isnan(errors(pd.Series([5.0, 5.0]), pd.Series([4.0, 6.0]))["r2"])


def test_coverage_counts_prices_inside_their_band_and_width_is_relative():
    ones = pd.Series([100.0, 100.0, 100.0, 100.0])

    quality = band_quality(ones, low=pd.Series([80.0, 80.0, 101.0, 80.0]), high=pd.Series([125.0, 125.0, 125.0, 99.0]))

    assert quality["coverage"] == 0.5
    assert band_quality(ones, ones * 0.8, ones * 1.25)["width"] == pytest.approx(0.45)


def test_segments_of_each_kind_hold_every_stone_once(stones):
    for kind in ("carat", "cut", "color", "clarity"):
        counted = sum(members.astype(int) for each, _, members in segments(stones) if each == kind)
        assert (counted == 1).all()
