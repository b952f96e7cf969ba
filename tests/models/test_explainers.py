"""The models that explain themselves, held against sampling, which knows no model."""

import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor

from diamonds.effects import sampling
from diamonds.models import linear, xgboost
from diamonds.schema import FEATURES
from diamonds.stones import SortedStones

FEW_TREES = xgboost.Params(n_estimators=60, learning_rate=0.15, max_depth=6, n_jobs=1)


@pytest.fixture(scope="module")
def known(stones):
    return stones[list(FEATURES)]


@pytest.fixture(scope="module")
def training(stones):
    return SortedStones.of(stones)


def _sampled(estimator, training, asked):
    return sampling(lambda each: np.log(estimator.predict(each)), training)(asked)


@pytest.fixture(scope="module")
def regression(stones, known):
    return linear.build(linear.Params()).fit(known, stones["price"])


@pytest.fixture(scope="module")
def trees(stones, known):
    return xgboost.build(FEW_TREES).fit(known, stones["price"])


def test_the_linear_models_effects_are_those_of_sampling_against_the_same_stones(regression, stones, known):
    few = SortedStones.of(stones.head(50))

    own = linear.explainer(regression, few)(known.tail(20))

    sampled = _sampled(regression, few, known.tail(20))
    assert own.base == pytest.approx(sampled.base, abs=1e-9)
    assert np.allclose(own.effects, sampled.effects, rtol=0, atol=1e-9)


def test_the_linear_models_base_is_the_mean_log_price_of_its_training_stones(regression, training, known):
    found = linear.explainer(regression, training)(known)

    assert found.base == pytest.approx(np.log(regression.predict(known)).mean(), abs=1e-9)
    assert found.effects.mean().tolist() == pytest.approx([0.0] * 9, abs=1e-9)


def test_the_trees_effects_agree_with_sampling(trees, training, known):
    asked = known.tail(100)

    own, sampled = xgboost.explainer(trees, training)(asked), _sampled(trees, training, asked)

    large = own.effects.abs() > 0.2
    assert large.to_numpy().sum() > 200
    assert (np.sign(own.effects) == np.sign(sampled.effects)).to_numpy()[large].mean() > 0.98
    for feature in ("carat", "color", "clarity", "x", "y", "z"):
        assert own.effects[feature].corr(sampled.effects[feature]) > 0.9, feature


def same(price):
    return price


def test_trees_on_plain_dollars_are_explained_in_dollars(trees, stones, training, known):
    plain = TransformedTargetRegressor(trees.regressor, func=same, inverse_func=same).fit(known, stones["price"])

    found = xgboost.explainer(plain, training)(known.tail(100))

    assert not found.logarithmic
    assert found.base == pytest.approx(stones["price"].mean(), rel=0.02)
    assert (found.base + found.effects.sum(axis=1)).tolist() == pytest.approx(plain.predict(known.tail(100)), rel=1e-4)


@pytest.mark.parametrize("module", [linear, xgboost])
def test_an_estimator_of_another_make_is_left_to_sampling(module, training, known, regression, trees):
    another = {linear: trees, xgboost: regression}[module]
    fewer = linear.build(linear.Params(numbers=("carat",)))
    fewer.fit(known, known["carat"])
    fewer.regressor_[-1].coef_ = fewer.regressor_[-1].coef_[:-1]

    for foreign in (another, DummyRegressor(), fewer):
        assert module.explainer(foreign, training) is None
