"""Gradient boosted trees (XGBoost) on graded ranks, measurements and shape."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from xgboost import Booster, DMatrix, QuantileDMatrix, XGBRegressor

from diamonds.blocks import Blocks
from diamonds.effects import Array, Contributions, Explainer, frame
from diamonds.features import (
    is_ranks_and_shape,
    last_step,
    on_log_price,
    on_plain_price,
    ranks_and_shape,
    ranks_and_shape_matrix,
    ranks_and_shape_of,
    ranks_and_shape_shares,
)
from diamonds.models import Quick
from diamonds.schema import FEATURES
from diamonds.stones import SortedStones
from diamonds.trees import Tree, Trees

if TYPE_CHECKING:
    from optuna import Trial

    from diamonds.models import Fold, Report

#: In rounds: how often the error is looked at, and after how many without `LEAST_GAIN` a search goes no further.
LOOK_EVERY, PATIENCE = 10, 50
#: As a share of the error.
LEAST_GAIN = 0.0005
#: In rounds: how often a search is told the error.
REPORT_EVERY = 50


class Params(BaseModel, extra="forbid"):
    """What the trees learn, `target` (the logarithm of the price or the price), and XGBoost's own parameters."""

    target: Literal["log", "plain"] = "log"
    n_estimators: int = Field(default=600, gt=0)
    learning_rate: float = Field(default=0.04, gt=0, le=1)
    max_depth: int = Field(default=8, ge=1)
    min_child_weight: float = Field(default=5, ge=0)
    subsample: float = Field(default=0.8, gt=0, le=1)
    colsample_bytree: float = Field(default=0.7, gt=0, le=1)
    reg_lambda: float = Field(default=1, ge=0)
    n_jobs: int = Field(default=2, ge=1)
    random_state: int = 42


def build(params: Params) -> TransformedTargetRegressor:
    """A regressor with these parameters."""
    on_price = {"log": on_log_price, "plain": on_plain_price}[params.target]
    return on_price(make_pipeline(ranks_and_shape(), XGBRegressor(**params.model_dump(exclude={"target"}))))


def fit_blocks(params: Params, train: Blocks) -> TransformedTargetRegressor:
    """The same regressor with trees grown over all blocks, by whoever works on these."""
    booster = train.boosted(_native(params), params.n_estimators, partial(_columns_and_labels, params.target))
    first = train.head()
    estimator = build(params.model_copy(update={"n_estimators": 1})).fit(first[list(FEATURES)], first["price"])
    trees = estimator.regressor_[-1].set_params(n_estimators=params.n_estimators)
    trees.load_model(bytearray(booster.save_raw("json")))
    return estimator


def _columns_and_labels(target: str, stones: pd.DataFrame) -> tuple[NDArray[np.float32], Array]:
    price = stones["price"].to_numpy(dtype=float)
    return ranks_and_shape_matrix(stones), np.log(price) if target == "log" else price


def suggest(trial: Trial, params: Params) -> Params:
    """The search space: what trees learn, how deep, how careful and how fast; their number is found by stopping."""
    return params.model_copy(
        update={
            "target": trial.suggest_categorical("target", ["log", "plain"]),
            "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.1, log=True),
            "max_depth": trial.suggest_int("max_depth", 5, 9),
            "min_child_weight": trial.suggest_float("min_child_weight", 1, 30, log=True),
            "subsample": trial.suggest_float("subsample", 0.6, 1.0),
            "colsample_bytree": trial.suggest_float("colsample_bytree", 0.5, 1.0),
            "reg_lambda": trial.suggest_float("reg_lambda", 0.3, 10, log=True),
        }
    )


class cross_validation:  # noqa: N801 - called like the function that it stands for
    """Grows the trees of all folds side by side, and stops when their mean error no longer falls.

    The folds' matrices are built once; a trial only gives them its target. `n_estimators` is the most rounds that are
    tried; in the parameters that come out it is the best number, raised as all stones are more than those of a fold.
    """

    def __init__(self, folds: Sequence[Fold]) -> None:
        """Build the matrices."""
        self._folds = [_Matrices(*fold) for fold in folds]
        self._growth = float(np.mean([1 + len(judged) / len(fitted_to) for fitted_to, judged in folds]))

    def __call__(self, params: Params, report: Report) -> tuple[float, Params]:
        """The MAE in dollars at the best number of rounds, and the parameters with it."""
        boosters = [fold.booster(params) for fold in self._folds]
        errors: dict[int, float] = {}
        for done in range(1, params.n_estimators + 1):
            for booster, fold in zip(boosters, self._folds, strict=True):
                booster.update(fold.known, done - 1)
            if done % LOOK_EVERY and done != params.n_estimators:
                continue
            pairs = zip(boosters, self._folds, strict=True)
            errors[done] = float(np.mean([fold.mae(booster, params.target) for booster, fold in pairs]))
            if done % REPORT_EVERY == 0:
                report(100 * done // params.n_estimators, min(errors.values()))
            if _has_settled(errors, done):
                break
        best = min(errors, key=lambda rounds: errors[rounds])
        return errors[best], params.model_copy(update={"n_estimators": round(best * self._growth)})


class _Matrices:
    """A fold as XGBoost takes it."""

    def __init__(self, fitted_to: pd.DataFrame, judged: pd.DataFrame) -> None:
        features = ranks_and_shape()
        self.known = QuantileDMatrix(features.fit_transform(fitted_to[list(FEATURES)]), label=fitted_to["price"])
        self._asked = QuantileDMatrix(features.transform(judged[list(FEATURES)]), ref=self.known)
        self._known_prices, self._asked_prices = (part["price"].to_numpy() for part in (fitted_to, judged))

    def booster(self, params: Params) -> Booster:
        """A booster without trees, for the target that the parameters name."""
        self.known.set_label(np.log(self._known_prices) if params.target == "log" else self._known_prices)
        return Booster(_native(params), [self.known, self._asked])

    def mae(self, booster: Booster, target: str) -> float:
        """The booster's mean error in dollars on the stones to judge by."""
        computed = booster.predict(self._asked)
        return float(np.abs((np.exp(computed) if target == "log" else computed) - self._asked_prices).mean())


def _native(params: Params) -> dict[str, Any]:
    """The parameters by the names that XGBoost's own interface takes."""
    kept = params.model_dump(exclude={"target", "n_estimators", "n_jobs", "random_state"})
    return kept | {"nthread": params.n_jobs, "seed": params.random_state}


def _has_settled(errors: dict[int, float], done: int) -> bool:
    """Whether the last rounds brought next to nothing."""
    before = [error for rounds, error in errors.items() if rounds <= done - PATIENCE]
    return bool(before) and min(errors.values()) > (1 - LEAST_GAIN) * min(before)


def explainer(estimator: Any, training: SortedStones) -> Explainer | None:  # noqa: ANN401, ARG001 - trees know their own
    """Exact effects by TreeSHAP: the Shapley values of the trees, against the stones that they have learned from.

    Source: Lundberg et al., "From local explanations to global understanding with explainable AI for trees", Nature
    Machine Intelligence 2020.
    """
    trees = last_step(estimator, XGBRegressor)
    if trees is None or trees.n_features_in_ != len(ranks_and_shape_shares()):
        return None
    return partial(_contributions, estimator, trees)


def _contributions(estimator: Any, trees: XGBRegressor, stones: pd.DataFrame) -> Contributions:  # noqa: ANN401
    """XGBoost's own contributions, whose last column is the base, brought from columns back to features."""
    finite = np.finfo(np.float32)  # a matrix refuses what is endless, as the density of a stone without volume
    columns = DMatrix(estimator.regressor_[0].transform(stones).clip(finite.min, finite.max), nthread=trees.n_jobs)
    found = trees.get_booster().predict(columns, pred_contribs=True).astype(float)
    effects = frame(found[:, :-1] @ ranks_and_shape_shares(), stones.index)
    return Contributions(float(found[0, -1]), effects, logarithmic=estimator.func is np.log)


def quick(estimator: Any) -> Quick | None:  # noqa: ANN401 - scikit-learn ships no types
    """One stone by a walk over the trees, many by XGBoost on a matrix that is made for it."""
    regressor = last_step(estimator, XGBRegressor)
    if regressor is None or not is_ranks_and_shape(estimator.regressor_[0]) or estimator.func not in {np.log, None}:
        return None
    booster = regressor.get_booster()
    walk = _walk(json.loads(bytes(booster.save_raw("json")))["learner"])
    if walk is None:
        return None
    target = np.exp if estimator.func is np.log else np.positive
    return Quick(one=partial(_one, walk, target), many=partial(_many, booster, target))


def _walk(learner: dict[str, Any]) -> Trees | None:
    """The trees as XGBoost describes them in JSON; None if they are not those of `build`."""
    if (learner["objective"]["name"], learner["gradient_booster"]["name"]) != ("reg:squarederror", "gbtree"):
        return None
    base = float(np.ravel(json.loads(learner["learner_model_param"]["base_score"])).item())
    return Trees.of([_tree(tree) for tree in learner["gradient_booster"]["model"]["trees"]], base, np.float32)


def _tree(tree: dict[str, list[float]]) -> Tree:
    """One of them: what a node compares with is, in a leaf, what it adds."""
    names = ("left_children", "right_children", "split_indices", "split_conditions")
    left, right, feature, threshold = (np.array(tree[name]) for name in names)
    return Tree(left, right, feature, threshold, value=threshold)


def _one(walk: Trees, target: Any, stone: Mapping[str, Any]) -> float:  # noqa: ANN401 - a function of NumPy's
    return float(target(walk(ranks_and_shape_of(stone))))


def _many(booster: Booster, target: Any, stones: pd.DataFrame) -> Array:  # noqa: ANN401 - a function of NumPy's
    computed = booster.inplace_predict(ranks_and_shape_matrix(stones), predict_type="margin")
    return np.asarray(target(computed), dtype=float)
