"""Stones of today beside the training's: what is said of them, and how often it is said though nothing has changed."""

import numpy as np
import pandas as pd
import pytest

from diamonds.drift import FeatureDrift, LiveQuotes, Rule, compare, judge, live_error, outside, stability_index
from diamonds.features import only_four_cs
from diamonds.schema import FEATURES

RULE = Rule(
    psi=0.25, bins=10, false_alarms=0.05, min_stones=100, min_sales=50, error_loss=0.1, coverage_loss=0.02,
    resamples=2000, seed=42,
)  # fmt: skip
HOLDOUT = {"mae": 256.0, "mape": 0.057, "bias": -19.0, "coverage": 0.903, "width": 0.25}
METRICS = {"overall": HOLDOUT, "four_cs": HOLDOUT | {"mape": 0.088, "coverage": 0.91}}
NOTHING_SOLD = LiveQuotes(sold=0)


def verdict(training, stones, live=NOTHING_SOLD):
    return judge(compare(training, stones, RULE), len(stones), live, RULE)


def sold(count, seed, spread=0.07, market=1.0):
    """Sales whose errors are those of the holdout: a mean of 5.6 %, nine of ten inside the band."""
    rng = np.random.default_rng(seed)
    price = np.exp(rng.normal(8, 1, count))
    paid = price * np.exp(rng.normal(0, spread, count)) * market
    band = {"low": price * np.exp(-1.66 * 0.07), "high": price * np.exp(1.66 * 0.07)}
    return pd.DataFrame({"paid": paid, "price": price, **band, "measured": True})


@pytest.mark.parametrize("count", [100, 500, 3000])
def test_stones_like_those_of_the_training_raise_an_alarm_in_five_windows_of_a_hundred_at_most(classic, stones, count):
    windows = [classic.sample(count, random_state=seed) for seed in range(100, 160)]

    alarms = [verdict(stones, window).retrain for window in windows].count("yes")

    assert alarms <= 3


def test_a_test_alone_of_stones_like_the_trainings_is_sure_in_five_windows_of_a_hundred_at_most(classic, stones):
    rule = RULE.model_copy(update={"psi": 1e-9})
    windows = [classic.sample(300, random_state=seed) for seed in range(100, 200)]

    alarms = sum(any(its.moved for its in compare(stones, window, rule).values()) for window in windows)

    assert alarms <= 5


@pytest.mark.parametrize("count", [50, 300])
def test_sales_like_the_holdout_raise_an_alarm_in_five_windows_of_a_hundred_at_most(count):
    live = [live_error(sold(count, seed), METRICS, RULE) for seed in range(100)]

    alarms = sum(each.error_worse or each.coverage_worse for each in live)

    assert alarms <= 5


@pytest.mark.parametrize("seed", range(5))
def test_five_hundred_stones_of_twice_the_weight_are_others(classic, seed):
    heavy = classic.sample(500, random_state=seed)
    heavy = heavy.assign(carat=heavy["carat"] * 2)

    found = verdict(classic, heavy)

    assert found.retrain == "yes"
    assert found.reason.startswith("the stones asked about are others than those of the training: carat (PSI ")


def test_a_grade_that_is_asked_for_more_often_has_moved_and_no_other_feature_has(classic):
    sampled = classic.sample(500, random_state=1).reset_index(drop=True)
    window = sampled.assign(color=sampled["color"].where(sampled.index % 2 == 0, "D"))

    features = compare(classic, window, RULE)

    assert [name for name, its in features.items() if its.moved] == ["color"]
    assert (features["color"].before, features["color"].now, features["color"].test) == ("G", "D", "chi2")


def test_a_shift_that_a_test_is_sure_of_and_that_is_small_is_none_to_act_on(classic):
    window = classic.sample(10_000, random_state=1)

    drift = compare(classic, window.assign(depth=window["depth"] + 0.2), RULE)["depth"]

    assert drift.p < 1e-9
    assert 0.01 < drift.psi < RULE.psi
    assert not drift.moved


def test_stones_without_measurements_say_nothing_of_these_and_of_the_four_cs_what_they_are(classic):
    window = only_four_cs(classic.sample(300, random_state=1))

    features = compare(classic, window, RULE)

    assert (features["x"].stones, features["x"].missing, features["x"].psi, features["x"].moved) == (
        0,
        300,
        None,
        False,
    )
    assert features["carat"].psi < 0.1
    assert verdict(classic, window).retrain == "no"


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "nothing was asked"), (1, "too few stones were asked about to tell: 1, of the 100 that it takes"), (99, "too few stones were asked about to tell: 99, of the 100 that it takes")],
)  # fmt: skip
def test_few_stones_are_said_to_be_too_few_however_odd_they_are(classic, count, said):
    window = classic.sample(count, random_state=1).assign(carat=50.0)

    found = verdict(classic, window)

    assert (found.retrain, found.reason) == ("no", said)


def test_a_constant_that_became_another_has_moved_and_the_same_one_has_not(classic):
    training = classic.assign(table=57.0)
    window = classic.sample(200, random_state=1)

    same, below, above = (compare(training, window.assign(table=value), RULE)["table"] for value in (57.0, 56.0, 58.0))

    assert (same.psi, same.p, same.moved) == (0.0, 1.0, False)
    assert (below.moved, above.moved) == (True, True)
    assert below.psi == pytest.approx(above.psi)


def test_a_value_that_most_stones_share_is_a_bin_of_its_own(classic):
    training = classic.assign(table=[57.0, 57.0, 57.0, 60.0] * (len(classic) // 4) + [57.0] * (len(classic) % 4))
    window = classic.sample(400, random_state=1).assign(table=[57.0, 60.0] * 200)

    drift = compare(training, window, RULE)["table"]

    assert drift.psi == pytest.approx(0.25 * np.log(3), abs=0.02)
    assert drift.moved


def test_a_training_of_one_grade_tells_it_from_others(classic):
    training = classic.assign(cut="Ideal")
    window = classic.sample(200, random_state=1)

    same, other = (compare(training, window.assign(cut=cut), RULE)["cut"] for cut in ("Ideal", "Fair"))

    assert (same.psi, same.statistic, same.p, same.moved) == (0.0, 0.0, 1.0, False)
    assert other.moved


def test_the_index_is_that_of_the_shares():
    counts = np.array([[4000, 4000, 2000], [300, 500, 200]])

    index = stability_index(*counts)

    assert index == pytest.approx(-0.1 * np.log(3 / 4) + 0.1 * np.log(5 / 4), abs=2e-3)
    assert index == pytest.approx(stability_index(*counts[::-1]), abs=1e-12)


def test_the_share_outside_counts_each_stone_once_and_no_missing_number(classic):
    window = only_four_cs(classic.head(10)).reset_index(drop=True)
    window.loc[0, ["carat", "x"]] = [90.0, 90.0]
    window.loc[1, "z"] = 0.5

    blocks = [classic.head(20_000), classic.iloc[20_000:]]
    assert outside(blocks, window) == 0.2
    assert outside(blocks, window.head(0)) is None


def test_a_market_that_moved_shows_in_the_prices_paid():
    live = live_error(sold(200, 1, market=1.15), METRICS, RULE)

    assert (live.error_worse, live.coverage_worse) == (True, True)
    assert live.live["bias"] < 0
    found = judge({}, 0, live, RULE)
    assert found.retrain == "yes"
    assert found.reason == (
        f"prices paid were {live.live['mape']:.1%} off the quotes instead of 5.7%, in 200 sales;"
        f" the band held {live.live['coverage']:.1%} of 200 prices paid instead of 90.3%"
    )


def test_the_error_of_stones_that_were_not_measured_is_held_against_the_holdouts_of_such():
    sales = sold(200, 1, spread=0.11).assign(measured=False)
    sales = sales.assign(low=sales["price"] * 0.8, high=sales["price"] * 1.25)

    unmeasured, measured = (live_error(each, METRICS, RULE) for each in (sales, sales.assign(measured=True)))

    assert (unmeasured.holdout["mape"], unmeasured.error_worse) == (0.088, False)
    assert (measured.holdout["mape"], measured.error_worse) == (0.057, True)


def test_what_the_rule_allows_of_error_and_of_misses_is_no_reason():
    none_allowed = RULE.model_copy(update={"error_loss": 0.0, "coverage_loss": 0.0})
    erring, missing = (sold(10_000, 1, spread=spread) for spread in (0.0745, 0.0725))

    error, strict_error = (live_error(erring, METRICS, rule) for rule in (RULE, none_allowed))
    misses, strict_misses = (live_error(missing, METRICS, rule) for rule in (RULE, none_allowed))

    assert 0.057 < error.live["mape"] < 0.057 * 1.1
    assert 0.903 - 0.02 < misses.live["coverage"] < 0.903
    assert (error.error_worse, misses.coverage_worse) == (False, False)
    assert (strict_error.error_worse, strict_misses.coverage_worse) == (True, True)


def test_few_sales_are_shown_and_not_judged():
    live = live_error(sold(49, 1, market=2.0), METRICS, RULE)

    assert live.live["mape"] > 0.4
    assert (live.error_p, live.coverage_p, live.error_worse) == (None, None, False)
    assert (
        judge({}, 0, live, RULE).reason == "nothing was asked; too few were sold to tell: 49, of the 50 that it takes"
    )


def test_no_sale_is_no_error():
    assert live_error(sold(0, 1), METRICS, RULE) == LiveQuotes(sold=0)


def test_what_moved_is_named_the_most_moved_first():
    moved = {
        name: FeatureDrift(stones=500, missing=0, before=1.0, now=2.0, psi=psi, test="ks", statistic=1, p=0, moved=True)
        for name, psi in (("carat", 0.3), ("x", 1.2))
    }

    assert judge(moved, 500, NOTHING_SOLD, RULE).reason == (
        "the stones asked about are others than those of the training: x (PSI 1.20), carat (PSI 0.30)"
    )


def test_all_that_describes_a_stone_is_compared(classic):
    assert list(compare(classic, classic.head(0), RULE)) == list(FEATURES)
