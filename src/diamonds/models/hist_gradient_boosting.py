"""Gradient boosted trees on histograms (scikit-learn's own) on log price, on graded ranks, measurements and shape."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import make_pipeline

from diamonds.features import is_ranks_and_shape, last_step, on_log_price, ranks_and_shape, ranks_and_shape_of
from diamonds.models import Quick
from diamonds.trees import Tree, Trees


class Params(BaseModel, extra="forbid"):
    """Scikit-learn's own parameters, by its own names."""

    max_iter: int = Field(default=300, gt=0)
    learning_rate: float = Field(default=0.06, gt=0, le=1)
    max_leaf_nodes: int = Field(default=60, ge=2)
    min_samples_leaf: int = Field(default=20, ge=1)
    l2_regularization: float = Field(default=1, ge=0)
    random_state: int = 42


def build(params: Params) -> TransformedTargetRegressor:
    """A regressor with these parameters."""
    boosting = HistGradientBoostingRegressor(**params.model_dump(), early_stopping=False)
    return on_log_price(make_pipeline(ranks_and_shape(), boosting))


def quick(estimator: Any) -> Quick | None:  # noqa: ANN401 - scikit-learn ships no types
    """One stone by a walk over the trees."""
    boosting = last_step(estimator, HistGradientBoostingRegressor)
    if boosting is None or boosting.loss != "squared_error" or estimator.func is not np.log:
        return None
    if not is_ranks_and_shape(estimator.regressor_[0]):
        return None
    trees = [_tree(predictor.nodes) for (predictor,) in boosting._predictors]
    walk = Trees.of(trees, np.asarray(boosting._baseline_prediction).item(), np.float64)
    return Quick(one=lambda stone: float(np.exp(walk(ranks_and_shape_of(stone)))))


def _tree(nodes: NDArray[np.void]) -> Tree:
    """A fitted tree, in which a row goes left whose feature is at most the threshold."""
    return Tree(
        left=np.where(nodes["is_leaf"], -1, nodes["left"].astype(np.intp)),
        right=nodes["right"].astype(np.intp),
        feature=nodes["feature_idx"],
        threshold=np.nextafter(nodes["num_threshold"], np.inf),
        value=nodes["value"],
    )
