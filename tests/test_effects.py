import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diamonds.effects import Contributions, explanations, frame, importances, sampling
from diamonds.schema import FEATURES
from diamonds.stones import SortedStones
from project import STONE

NINE = len(FEATURES)
effects_of_a_stone = st.lists(st.floats(-2, 2), min_size=NINE, max_size=NINE)


def explain(contributions, least=1.0):
    """What is computed, raised to the least price, rounded to cents and explained."""
    raised = contributions.raised_to(least)
    computed = contributions.base + contributions.effects.sum(axis=1)
    prices = (np.exp(computed) if contributions.logarithmic else computed).clip(lower=least).round(2)
    stones = pd.DataFrame([STONE] * len(prices))
    return explanations(stones, raised, prices)


def contributions(base, *rows, logarithmic=True):
    return Contributions(base, frame(np.array(rows, dtype=float), pd.RangeIndex(len(rows))), logarithmic)


def assert_it_adds_up(explanation):
    cents = [round(100 * effect.usd) for effect in explanation.effects]
    factors = math.prod(effect.factor for effect in explanation.effects)

    assert [cent / 100 for cent in cents] == [effect.usd for effect in explanation.effects]
    assert sum(cents) == round(100 * explanation.price) - round(100 * explanation.base_price)
    assert explanation.base_price * factors == pytest.approx(explanation.price, rel=1e-9)
    assert sorted(effect.feature for effect in explanation.effects) == sorted(FEATURES)
    assert sorted(map(abs, cents), reverse=True) == list(map(abs, cents))


@given(st.floats(-2, 12), effects_of_a_stone)
def test_effects_on_log_dollars_add_up_and_multiply(base, row):
    assert_it_adds_up(explain(contributions(base, row))[0])


@given(st.floats(-100, 100_000), effects_of_a_stone)
def test_effects_on_dollars_add_up_and_multiply(base, row):
    sizes = np.array(row) * max(abs(base), 1)

    assert_it_adds_up(explain(contributions(base, sizes, logarithmic=False))[0])


@given(effects_of_a_stone)
def test_no_effect_changes_its_sign_when_a_price_is_raised(row):
    raised = contributions(1.0, row).raised_to(1.0)

    total = raised.base + raised.effects.iloc[0].sum()
    assert total == pytest.approx(max(1.0 + sum(row), 0.0), abs=1e-9)
    assert (raised.effects.iloc[0].to_numpy() * np.array(row) >= 0).all()


def test_a_price_that_is_raised_to_the_least_leaves_what_raises_it_as_it_is():
    """Computed: 100 + 50 - 300 - 100 dollars; what lowers it has 149 dollars to share."""
    (explained,) = explain(contributions(100.0, [50, -300, -100, 0, 0, 0, 0, 0, 0], logarithmic=False))

    assert (explained.base_price, explained.price) == (100.0, 1.0)
    assert {effect.feature: effect.usd for effect in explained.effects[:3]} == {
        "carat": 50.0,
        "cut": -111.75,
        "color": -37.25,
    }


def test_dollars_are_shared_as_the_logarithms_of_the_factors_are():
    row = [math.log(2), math.log(2), -math.log(2), 0, 0, 0, 0, 0, 0]

    (explained,) = explain(contributions(math.log(1000), row))

    assert (explained.base_price, explained.price) == (1000.0, 2000.0)
    assert [(effect.feature, effect.usd) for effect in explained.effects[:4]] == [
        ("carat", 1000.0),
        ("cut", 1000.0),
        ("color", -1000.0),
        ("clarity", 0.0),
    ]
    assert [effect.factor for effect in explained.effects[:4]] == pytest.approx([2, 2, 0.5, 1])
    assert explained.effects[1].value == "Ideal"


def test_effects_that_cancel_out_are_worth_what_they_are_at_that_price():
    """The logarithmic mean of a price and itself is the price."""
    (explained,) = explain(contributions(math.log(1000), [0.1, -0.1, 0, 0, 0, 0, 0, 0, 0]))

    assert explained.price == explained.base_price == 1000.0
    assert [effect.usd for effect in explained.effects[:3]] == [100.0, -100.0, 0.0]


def test_factors_of_a_model_of_dollars_follow_from_its_dollars():
    (explained,) = explain(contributions(1000.0, [2000, -1000, 0, 0, 0, 0, 0, 0, 0], logarithmic=False))

    assert [effect.usd for effect in explained.effects[:2]] == [2000.0, -1000.0]
    assert [effect.factor for effect in explained.effects[:2]] == pytest.approx([4, 0.5])


def test_what_rounding_leaves_open_goes_to_the_largest_effect():
    row = [0.3, *[0.0123] * 8]

    (explained,) = explain(contributions(math.log(10), row))

    rounded = round(0.0123 * (explained.price - 10) / math.log(explained.price / 10), 2)
    assert {effect.usd for effect in explained.effects[1:]} == {rounded}
    assert explained.effects[0].usd == pytest.approx(explained.price - 10 - 8 * rounded)


def test_importances_are_mean_sizes_the_most_first():
    row = [0, math.log(1.1), 0, 0, 0, 0, 0, 0, 0]
    explained = explain(contributions(math.log(1000), row, [-each for each in row]))

    found = importances(explained)

    assert found.index[0] == "cut"
    assert found.loc["cut", "share"] == pytest.approx(0.1, abs=1e-5)
    assert found.loc["cut", "usd"] == pytest.approx((100 + 90.91) / 2)
    assert (found.iloc[1:] == 0).all(axis=None)


def interacting(stones):
    """Weight times width, which no sum of single effects gives."""
    return stones["carat"].to_numpy() * stones["y"].to_numpy()


def test_sampled_effects_add_up_whatever_the_model(stones):
    asked = stones.iloc[100:130]

    found = sampling(interacting, SortedStones.of(stones))(asked)

    assert np.allclose(found.base + found.effects.sum(axis=1), interacting(asked), rtol=0, atol=1e-12)
    assert found.effects.index.equals(asked.index)
    assert (found.effects[[feature for feature in FEATURES if feature not in {"carat", "y"}]] == 0).all(axis=None)


def test_sampled_effects_of_two_features_are_their_exact_shapley_values(stones):
    """With two features that matter, an order and its reverse are all orders there are."""
    asked = stones.iloc[[7]]
    few = stones.head(30)

    found = sampling(interacting, SortedStones.of(few))(asked)

    by_hand = [
        (asked["carat"].item() - few["carat"]) * (asked["y"].item() + few["y"]) / 2,
        (asked["y"].item() - few["y"]) * (asked["carat"].item() + few["carat"]) / 2,
    ]
    assert found.effects[["carat", "y"]].iloc[0].tolist() == pytest.approx([each.mean() for each in by_hand])


def test_a_stone_has_the_same_sampled_effects_in_any_company(stones):
    explainer = sampling(interacting, SortedStones.of(stones))

    alone, among_others = explainer(stones.iloc[[45]]), explainer(stones.head(50))

    assert alone.effects.loc[45].equals(among_others.effects.loc[45])
    assert sampling(interacting, SortedStones.of(stones))(stones.iloc[[45]]).effects.equals(alone.effects)


def test_the_background_is_as_heavy_as_the_training_stones(stones):
    """Any of six sets of stones: a plain draw of as many would miss some of them by 10 percent."""
    for training in (stones.iloc[first : first + 500] for first in range(0, 3000, 500)):
        base = sampling(lambda each: each["carat"].to_numpy(), SortedStones.of(training))(stones.head(1)).base

        assert base == pytest.approx(training["carat"].mean(), rel=0.02)


def test_no_call_of_the_model_grows_with_the_number_of_stones(stones):
    sizes = []

    def log_price(asked):
        sizes.append(len(asked))
        return interacting(asked)

    sampling(log_price, SortedStones.of(stones))(stones.head(200))

    assert sizes == [50, *[20 + 20 * 2 * 50 * 8] * 10]
