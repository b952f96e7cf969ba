from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from xgboost import XGBRegressor

from diamonds.models import hist_gradient_boosting, xgboost
from diamonds.schema import FEATURES
from diamonds.trees import Tree, Trees


def tree(left, right, feature, threshold, value):
    return Tree(*(np.array(column) for column in (left, right, feature, threshold, value)))


#: Column 1 below 5: 10; else column 0 below 2: 20, else 30.
LOPSIDED = tree([1, -1, 3, -1, -1], [2, 0, 4, 0, 0], [1, 0, 0, 0, 0], [5.0, 0, 2.0, 0, 0], [0, 10.0, 0, 20.0, 30.0])
STUMP = tree([-1], [0], [0], [0.0], [7.0])


@pytest.mark.parametrize(("row", "expected"), [([0.0, 4.9], 10), ([0.0, 5.0], 20), ([2.0, 5.0], 30), ([9.0, 0.0], 10)])
def test_a_row_goes_right_where_its_feature_is_at_least_the_threshold(row, expected):
    assert Trees.of([LOPSIDED], 0.0, np.float64)(row) == expected


def test_leaves_are_added_to_the_base_in_the_order_of_the_trees():
    small = tree([-1], [0], [0], [0.0], [1e-8])

    forest = Trees.of([STUMP, LOPSIDED, small], 1000.0, np.float32)

    assert forest([0.0, 0.0]) == np.float32(np.float32(1007) + np.float32(10)) + np.float32(1e-8)
    assert forest.levels == 2


def test_trees_that_never_ask_anything_are_a_constant():
    assert Trees.of([STUMP, STUMP], 0.5, np.float64)([1.0]) == 14.5


def test_several_threads_may_ask_the_same_trees(stones):
    fitted = xgboost.build(xgboost.Params(n_estimators=40)).fit(stones[list(FEATURES)], stones["price"])
    one, described = xgboost.quick(fitted).one, stones[list(FEATURES)].to_dict("records")
    alone = [one(stone) for stone in described]

    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(one, described))

    assert together == alone


@pytest.mark.parametrize("params", [{"target": "plain"}, {"max_depth": 1}, {"max_depth": 12, "min_child_weight": 0}])
def test_xgboost_of_any_target_and_depth_is_walked_to_the_last_bit(stones, params):
    asked = stones[list(FEATURES)]
    fitted = xgboost.build(xgboost.Params(n_estimators=30, **params)).fit(asked, stones["price"])

    quick = xgboost.quick(fitted)

    expected = fitted.predict(asked).astype(float)
    assert np.array_equal([quick.one(stone) for stone in asked.to_dict("records")], expected)
    assert np.array_equal(quick.many(asked), expected)


@pytest.mark.parametrize("params", [{"objective": "reg:absoluteerror"}, {"booster": "dart"}])
def test_trees_that_xgboost_adds_up_in_another_way_are_left_to_it(stones, params):
    fitted = xgboost.build(xgboost.Params(n_estimators=5))
    fitted.regressor.steps[-1] = ("xgbregressor", XGBRegressor(n_estimators=5, **params))

    assert xgboost.quick(fitted.fit(stones[list(FEATURES)], stones["price"])) is None


def test_histogram_boosting_of_another_loss_is_left_to_scikit_learn(stones):
    fitted = hist_gradient_boosting.build(hist_gradient_boosting.Params(max_iter=5))
    fitted.regressor.steps[-1] = ("boosting", HistGradientBoostingRegressor(loss="gamma", max_iter=5))

    assert hist_gradient_boosting.quick(fitted.fit(stones[list(FEATURES)], stones["price"])) is None
