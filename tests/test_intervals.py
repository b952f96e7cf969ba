import numpy as np
import pandas as pd
import pytest

from diamonds.intervals import ANY_CARAT, ConformalBand


def world(count, seed, spread=0.1):
    rng = np.random.default_rng(seed)
    carat = pd.Series(rng.choice([0.3, 0.7, 1.2, 2.5], count))
    predicted = carat * 4000
    return carat, predicted * np.exp(rng.normal(0, spread * carat)), predicted


@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.9, 0.95])
def test_the_band_holds_the_stated_share_of_fresh_prices_in_each_carat_band(confidence):
    band = ConformalBand.calibrate(*world(8000, 1), confidence)
    carat, actual, predicted = world(20_000, 2)

    low, high = band.bounds(carat, predicted)

    inside = actual.between(low, high)
    assert inside.mean() == pytest.approx(confidence, abs=0.015)
    assert (inside.groupby(carat).mean() - confidence).abs().max() < 0.03


def test_the_band_is_wider_where_prices_scatter_more():
    band = ConformalBand.calibrate(*world(8000, 1), 0.9)

    assert band.factors["2+"][1] > 2 * band.factors["0.5-1"][1] - 1


def test_the_band_always_holds_the_price_itself():
    """Even of a model that prices every calibration stone too low."""
    carat, actual, predicted = world(500, 1)

    low, high = ConformalBand.calibrate(carat, actual * 3, predicted, 0.9).bounds(carat, predicted)

    assert (low <= predicted).all()
    assert (high >= predicted).all()


def test_a_carat_band_with_few_stones_uses_those_of_all():
    carat, actual, predicted = world(99, 1)

    band = ConformalBand.calibrate(carat, actual, predicted, 0.9)

    assert set(band.factors) == {ANY_CARAT}
    low, high = band.bounds(pd.Series([0.3, 9.0]), pd.Series([100.0, 100.0]))
    assert low.nunique() == high.nunique() == 1


def test_a_handful_of_stones_gives_the_widest_band_they_allow():
    band = ConformalBand.calibrate(pd.Series([1.0] * 3), pd.Series([90.0, 100.0, 130.0]), pd.Series([100.0] * 3), 0.9)

    assert band.factors[ANY_CARAT] == pytest.approx((0.9, 1.3))


def test_a_band_around_two_holds_both_in_each_carat_band():
    one, other = ConformalBand(0.9, {"any": (0.8, 1.1), "2+": (0.5, 1.2)}), ConformalBand(0.9, {"any": (0.7, 1.05)})

    assert one.around(other) == ConformalBand(0.9, {"any": (0.7, 1.1), "2+": (0.5, 1.2)})


def test_a_stone_alone_has_the_factors_that_it_has_among_others():
    band = ConformalBand.calibrate(*world(8000, 1), 0.9)
    carats = [0.01, 0.4999, 0.5, 1.0, 1.5, 1.99, 2.0, 100.0]

    assert [tuple(pair) for pair in band.factors_of(np.array(carats)).T] == [band.factors_of_one(c) for c in carats]
