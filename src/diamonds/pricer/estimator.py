"""A fitted estimator as parts: JSON where its model offers it, else skops, and XGBoost's own JSON for its trees."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from diamonds import models
from diamonds.errors import ArtefactError
from diamonds.pricer.parts import ESTIMATOR_JSON, ESTIMATOR_SKOPS, TREES, parsing

if TYPE_CHECKING:
    from sklearn.base import RegressorMixin

#: What an estimator saved by skops may consist of beside the types that skops itself knows as harmless.
TRUSTED_TYPES = (
    # Functions that a transformer calls: the logarithm of the price, its inverse, and what models share.
    "diamonds.features.shape",
    "numpy.exp",
    "numpy.log",
    # XGBoost's regressor with its parameters; its trees are a part of their own.
    "xgboost.sklearn.XGBRegressor",
    # Fitted trees, compiled: those of decision trees, forests and gradient boosting, and of boosting on histograms.
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    # Indices of stones to find neighbours in, compiled, and the distances that they measure.
    "sklearn.metrics._dist_metrics.ChebyshevDistance64",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.metrics._dist_metrics.MinkowskiDistance64",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
)


def dump(name: str, estimator: RegressorMixin) -> dict[str, bytes]:
    """The parts of a fitted estimator of the model with this name."""
    codec = _codec(name)
    if codec is not None:
        return {ESTIMATOR_JSON: json.dumps(codec.to_json(estimator), indent=1).encode()}
    return _dump_by_skops(estimator)


def restore(name: str, parts: dict[str, bytes]) -> RegressorMixin:
    """The fitted estimator that `dump` made these parts of; other parts are left alone.

    Raises:
        ArtefactError: It needs a model that is no longer there, holds a type that is not trusted, or a part does
            not hold what it should; the message names the part.
    """
    if ESTIMATOR_JSON in parts:
        return _restore_from_json(name, parts[ESTIMATOR_JSON])
    return _restore_by_skops(parts)


def _codec(name: str) -> models.SavedAsJson | None:
    module = models.get(name) if name in models.available() else None
    return module if module is not None and models.is_saved_as_json(module) else None


def _restore_from_json(name: str, content: bytes) -> RegressorMixin:
    codec = _codec(name)
    if codec is None:
        raise ArtefactError(
            f"{ESTIMATOR_JSON} was written by the model {name!r}, and src/diamonds/models/ has no such model"
            " that reads it: put its file back"
        )
    with parsing(ESTIMATOR_JSON):
        return codec.from_json(json.loads(content))


def _dump_by_skops(estimator: RegressorMixin) -> dict[str, bytes]:
    import skops.io

    final = _final_step(estimator)
    if not hasattr(final, "get_booster"):
        return {ESTIMATOR_SKOPS: skops.io.dumps(estimator)}
    without_trees = _with_final_step(estimator, type(final)(**final.get_params()))
    return {
        ESTIMATOR_SKOPS: skops.io.dumps(without_trees),
        TREES: bytes(final.get_booster().save_raw("json")),
    }


def _restore_by_skops(parts: dict[str, bytes]) -> RegressorMixin:
    with parsing(ESTIMATOR_SKOPS):
        estimator = _load_by_skops(parts[ESTIMATOR_SKOPS])
    if TREES in parts:
        with parsing(TREES):
            _final_step(estimator).load_model(bytearray(parts[TREES]))
    return estimator


def _load_by_skops(content: bytes) -> RegressorMixin:
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        estimator = skops.io.loads(content, trusted=list(TRUSTED_TYPES))
    except UntrustedTypesFoundException as error:
        raise ArtefactError(f"{ESTIMATOR_SKOPS} holds a type that is not trusted: {error}") from error
    if not hasattr(estimator, "predict"):
        raise ArtefactError(f"{ESTIMATOR_SKOPS} holds a {type(estimator).__name__}, which is no regressor")
    return estimator


def _final_step(estimator: Any) -> Any:  # noqa: ANN401 - scikit-learn ships no types
    """What predicts, below a transformed target and at the end of a pipeline, where there are such."""
    regressor = getattr(estimator, "regressor_", estimator)
    return regressor.steps[-1][1] if hasattr(regressor, "steps") else regressor


def _with_final_step(estimator: Any, final: Any) -> Any:  # noqa: ANN401 - scikit-learn ships no types
    """A copy of a fitted estimator whose `_final_step` is replaced."""
    swapped = copy.copy(estimator)
    if hasattr(estimator, "regressor_"):
        swapped.regressor_ = _with_final_step(estimator.regressor_, final)
    elif hasattr(estimator, "steps"):
        swapped.steps = [*estimator.steps[:-1], (estimator.steps[-1][0], final)]
    else:
        return final
    return swapped
