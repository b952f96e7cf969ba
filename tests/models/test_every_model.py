"""What holds for every model, whichever there are."""

import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline

from diamonds import models
from diamonds.errors import ConfigurationError
from diamonds.features import NUMBERS, Proportions, one_hot_with, only_four_cs, ranks_and_shape
from diamonds.intervals import ConformalBand
from diamonds.metrics import errors
from diamonds.pricer import Pricer, TrainingSummary, load, save
from diamonds.schema import FEATURES, GRADES, MEASUREMENTS, MEASURES
from diamonds.stones import SortedStones
from project import STONE

every_model = pytest.mark.parametrize("name", models.available())
quick_models = pytest.mark.parametrize(
    "name", [name for name in models.available() if models.is_quick(models.get(name))]
)
better_than_the_floor = pytest.mark.parametrize("name", [name for name in models.available() if name != "median"])

USUAL = STONE | {"cut": "Very Good"}


@pytest.fixture(scope="module")
def halves(classic):
    chosen = classic.sample(8000, random_state=2).reset_index(drop=True)
    return chosen.iloc[:6000], chosen.iloc[6000:]


@pytest.fixture(scope="module")
def fitted(halves):
    """Each model with its defaults, fitted to the same stones."""
    train, _ = halves
    return {name: _fit(name, train) for name in models.available()}


def _fit(name, train):
    module = models.get(name)
    return module.build(module.Params()).fit(train[list(FEATURES)], train["price"])


def _pricer(name, estimator, train):
    band, wide = (
        ConformalBand(0.9, {"any": (0.8, 1.25), "0.5-1": (0.93, 1.07)}),
        ConformalBand(0.9, {"any": (0.6, 1.7)}),
    )
    summary = TrainingSummary.of(train, {}, "fingerprint")
    return Pricer(name, estimator, band, wide, Proportions.of(train), summary, SortedStones.of(train))


@pytest.fixture(scope="module")
def pricers(fitted, halves):
    return {name: _pricer(name, estimator, halves[0]) for name, estimator in fitted.items()}


@every_model
def test_it_refuses_a_parameter_it_does_not_know(name):
    with pytest.raises(ValidationError, match="learning_speed"):
        models.get(name).Params(learning_speed=1)


@every_model
def test_it_can_be_cloned(name):
    module = models.get(name)
    model = module.build(module.Params())

    assert str(clone(model).get_params()) == str(model.get_params())


@every_model
def test_it_prices_alike_when_fitted_twice(name, fitted, halves):
    train, judged = halves

    again = _fit(name, train).predict(judged[list(FEATURES)])

    assert np.array_equal(again, fitted[name].predict(judged[list(FEATURES)]))


@every_model
def test_the_order_of_rows_and_columns_does_not_matter(name, fitted, halves):
    _, judged = halves
    straight = pd.Series(fitted[name].predict(judged[list(FEATURES)]), index=judged.index)
    shuffled = judged.sample(frac=1, random_state=4)[list(FEATURES)[::-1]]

    prices = pd.Series(fitted[name].predict(shuffled), index=shuffled.index)

    assert prices.sort_index().equals(straight)


@every_model
def test_it_prices_the_same_to_the_last_bit_after_saving_and_loading(name, fitted, halves, tmp_path):
    train, judged = halves
    pricer = _pricer(name, fitted[name], train)

    save(pricer, tmp_path / name, version="v1")
    loaded = load(tmp_path / name)

    assert loaded.version == "v1"
    assert loaded.price(judged).equals(pricer.price(judged))
    assert loaded.quote(USUAL) == pricer.quote(USUAL)
    assert (loaded._quick is None) == (not models.is_quick(models.get(name)))
    assert loaded.explain(judged.head(5)) == pricer.explain(judged.head(5))
    assert np.array_equal(
        loaded.estimator.predict(judged[list(FEATURES)]), fitted[name].predict(judged[list(FEATURES)])
    )
    assert (loaded.band, loaded.proportions, loaded.summary) == (pricer.band, pricer.proportions, pricer.summary)
    assert loaded.stones.frame().equals(SortedStones.of(train).frame())


@quick_models
def test_its_quick_way_computes_what_the_estimator_computes(name, fitted, halves):
    asked = halves[1][list(FEATURES)]

    quick = models.get(name).quick(fitted[name])

    one = np.array([quick.one(stone) for stone in asked.to_dict("records")])
    assert one == pytest.approx(fitted[name].predict(asked), rel=1e-12, abs=0)
    assert np.array_equal(one, quick.many(asked) if quick.many else fitted[name].predict(asked))


@quick_models
def test_it_has_no_quick_way_for_an_estimator_of_another_making(name):
    foreign = TransformedTargetRegressor(make_pipeline(DummyRegressor(), KNeighborsRegressor()))

    assert models.get(name).quick(foreign) is None


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("hist_gradient_boosting", one_hot_with(["carat"])),
        ("linear", ranks_and_shape()),
        ("xgboost", one_hot_with(["carat"])),
    ],
)
def test_it_has_no_quick_way_behind_other_columns_than_its_own(name, columns, halves):
    module, few = models.get(name), halves[0].head(200)
    other = module.build(module.Params())
    other.regressor.steps[0] = ("other", columns)

    assert module.quick(other.fit(few[list(FEATURES)], few["price"])) is None


@every_model
def test_a_stone_is_quoted_what_it_is_priced_at_among_others_to_the_cent(name, pricers, halves):
    pricer, judged = pricers[name], halves[1]

    for asked in (judged, only_four_cs(judged), _with_random_gaps(judged)):
        priced = pricer.price(asked)
        described = [_without_gaps(stone) for stone in asked[list(FEATURES)].to_dict("records")]
        assert [pricer.quote(stone) for stone in described] == list(priced.itertuples(index=False, name=None))


def _with_random_gaps(stones):
    gaps = np.random.default_rng(5).random((len(stones), len(MEASUREMENTS))) < 0.4
    return stones.assign(**stones[list(MEASUREMENTS)].mask(gaps))


def _without_gaps(stone):
    return {field: value for field, value in stone.items() if pd.notna(value)}


@every_model
def test_a_model_without_a_quick_way_quotes_by_a_frame_of_one_row(name, fitted, pricers, halves):
    pricer, judged = pricers[name], halves[1]
    slow = dataclasses.replace(pricer, estimator=_OnlyPredicts(fitted[name]))
    asked = _with_random_gaps(judged).head(20)[list(FEATURES)]

    for stone in map(_without_gaps, asked.to_dict("records")):
        assert slow.quote(stone) == pytest.approx(pricer.quote(stone), abs=0.011)


class _OnlyPredicts:
    """An estimator that no model knows."""

    def __init__(self, estimator):
        self.predict = estimator.predict


def _measure(field, least, most):
    return (
        st.floats(least, most, exclude_min=least == 0)
        if field == "carat"
        else st.none() | st.floats(least, most, exclude_min=least == 0)
    )


def _described(ranges):
    grades = {field: st.sampled_from(grades) for field, grades in GRADES.items()}
    numbers = {field: _measure(field, *ranges[field]) for field in NUMBERS}
    return st.lists(st.fixed_dictionaries(grades | numbers), min_size=1, max_size=20)


@every_model
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_stone_within_the_training_ranges_has_a_price_between_low_and_high(name, pricers, data):
    pricer = pricers[name]

    for stone in data.draw(_described(pricer.summary.ranges)):
        price, low, high = pricer.quote(stone)
        assert 0 < low <= price <= high < np.inf


@every_model
@settings(max_examples=25, deadline=None)
@given(stones=_described({field: (0, MEASURES[field].most) for field in NUMBERS}))
@example(
    stones=[
        USUAL | {"carat": 100.0, "x": 1e-300, "y": 1e-300, "z": 1e-300},
        USUAL | {"carat": 5e-324, "x": None, "y": None, "z": 100.0, "depth": None},
        USUAL | {"carat": 100.0, "x": 5e-324, "y": None, "z": 100.0, "depth": None},
        USUAL | {"x": None, "y": None, "depth": 5e-324},
        USUAL | {"x": 60.0, "y": 100.0},
        USUAL | {"carat": 100.0, "x": 100.0},
        USUAL | {"x": 1e-40, "y": 1e-3, "z": 1e-3},
    ]
)
def test_even_an_impossible_stone_is_quoted_what_it_is_priced_at(name, pricers, stones):
    pricer = pricers[name]
    types = {field: str if field in GRADES else float for field in FEATURES}

    priced = pricer.price(pd.DataFrame(stones)[list(FEATURES)].astype(types))

    assert np.isfinite(priced.to_numpy()).all()
    assert [pricer.quote(stone) for stone in stones] == list(priced.itertuples(index=False, name=None))


@pytest.mark.parametrize("name", [name for name in models.available() if models.is_saved_as_json(models.get(name))])
def test_its_json_restores_it_without_any_stones(name, fitted, halves):
    _, judged = halves
    module = models.get(name)
    document = json.dumps(module.to_json(fitted[name]))

    restored = module.from_json(json.loads(document))

    assert json.dumps(module.to_json(restored)) == document
    assert np.array_equal(restored.predict(judged[list(FEATURES)]), fitted[name].predict(judged[list(FEATURES)]))


@better_than_the_floor
def test_it_beats_the_floor_by_far(name, fitted, halves):
    _, judged = halves

    def error(each):
        return errors(judged["price"], pd.Series(fitted[each].predict(judged[list(FEATURES)]), index=judged.index))[
            "mae"
        ]

    assert error(name) < error("median") / 3


@better_than_the_floor
@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"carat": 1.5, "x": 7.33, "y": 7.33, "z": 4.53}, {}),
        ({"color": "D"}, {"color": "J"}),
        ({"clarity": "VVS1"}, {"clarity": "SI2"}),
    ],
    ids=["more carats", "better color", "better clarity"],
)
def test_a_better_stone_is_never_cheaper(name, fitted, better, worse):
    pair = pd.DataFrame([USUAL | better, USUAL | worse])

    high, low = fitted[name].predict(pair)

    assert high > low


@better_than_the_floor
def test_a_handful_of_stones_cost_what_a_jeweller_would_expect(name, fitted):
    bounds = {0.3: (300, 1200), 0.7: (1500, 4000), 1.0: (3500, 8000), 2.0: (9000, 30_000)}
    shapes = [USUAL | {"carat": carat} | {size: USUAL[size] * carat ** (1 / 3) for size in "xyz"} for carat in bounds]

    prices = fitted[name].predict(pd.DataFrame(shapes))

    for price, (least, most) in zip(prices, bounds.values(), strict=True):
        assert least < price < most


@every_model
def test_its_effects_add_up_to_the_price_that_is_quoted_in_cents(name, fitted, halves):
    train, judged = halves
    pricer = _pricer(name, fitted[name], train)
    asked = judged.head(30).copy()
    asked.loc[asked.index[:10], ["x", "y", "z"]] = np.nan

    explained = pricer.explain(asked)

    assert [each.price for each in explained] == pricer.price(asked)["price"].tolist()
    for each in explained:
        cents = sum(round(100 * effect.usd) for effect in each.effects)
        assert cents == round(100 * each.price) - round(100 * each.base_price)
        assert each.base_price * math.prod(effect.factor for effect in each.effects) == pytest.approx(
            each.price, rel=1e-9
        )


@every_model
def test_what_it_contributes_adds_up_to_what_it_computes(name, fitted, halves):
    """So that only what its own precision leaves open is put to the largest effect."""
    train, judged = halves

    found = _pricer(name, fitted[name], train)._explainer(judged[list(FEATURES)].head(30))

    computed = found.base + found.effects.sum(axis=1)
    predicted = pd.Series(fitted[name].predict(judged[list(FEATURES)].head(30)), index=computed.index)
    assert (np.exp(computed) if found.logarithmic else computed).to_numpy() == pytest.approx(predicted, rel=1e-4)


@better_than_the_floor
@pytest.mark.parametrize(("feature", "worse", "better"), [("color", "J", "D"), ("clarity", "SI2", "VVS1")])
def test_a_better_grade_has_the_greater_factor(name, fitted, halves, feature, worse, better):
    pricer = _pricer(name, fitted[name], halves[0])

    explained = pricer.explain(pd.DataFrame([USUAL | {feature: worse}, USUAL | {feature: better}]))

    low, high = (_effect(each, feature) for each in explained)
    assert (low.value, high.value) == (worse, better)
    assert low.factor < 1 < high.factor
    assert low.usd < 0 < high.usd


def _effect(explanation, feature):
    return next(effect for effect in explanation.effects if effect.feature == feature)


@every_model
def test_a_search_space_begins_inside_its_own_defaults(name):
    optuna = pytest.importorskip("optuna", reason="searching needs optuna")
    module = models.get(name)
    if not models.is_tuned(module):
        assert not hasattr(module, "suggest")
        return
    params = module.Params()
    study = optuna.create_study()
    study.enqueue_trial(params.model_dump())

    assert module.suggest(study.ask(), params) == params


def test_an_unknown_model_names_those_there_are():
    with pytest.raises(
        ConfigurationError,
        match="there is no model 'forest'; there are hist_gradient_boosting, linear, median, xgboost",
    ):
        models.get("forest")
