"""Learners of other libraries, asked in one way: scikit-learn's with `partial_fit`, river's with `learn_one`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np

from diamonds.errors import ConfigurationError

Task = Literal["classification", "regression"]
Values = Mapping[str, Any]


class Rider(Protocol):
    """An estimator of another library.

    Attributes:
        gives_probabilities: Whether what it predicts of a boolean is more than yes or no.
    """

    gives_probabilities: bool

    def predict(self, values: Values) -> float | None:
        """The number, or the probability of a yes; None where it does not say."""

    def learn(self, values: Values, answer: float) -> None:
        """Learn from a row whose number, or yes (1) or no (0), is known."""


class SklearnRider:
    """One of scikit-learn's, or of a library that follows it."""

    def __init__(self, estimator: Any, task: Task) -> None:  # noqa: ANN401 - whatever has the methods
        """The estimator has learned nothing yet."""
        self._estimator, self._is_classifier, self._is_fitted = estimator, task == "classification", False
        self.gives_probabilities = self._is_classifier and hasattr(estimator, "predict_proba")

    def predict(self, values: Values) -> float | None:
        """The number, or the probability of a yes; None before the first row."""
        if not self._is_fitted:
            return None
        row = _matrix(values)
        with np.errstate(all="ignore"):  # what is no number is seen as such
            if self.gives_probabilities:
                return float(self._estimator.predict_proba(row)[0, 1])
            return float(self._estimator.predict(row)[0])

    def learn(self, values: Values, answer: float) -> None:
        """Learn from a row."""
        classes = {"classes": np.array([0, 1])} if self._is_classifier else {}
        kind = np.int64 if self._is_classifier else np.float64
        with np.errstate(all="ignore"):
            self._estimator.partial_fit(_matrix(values), np.array([answer], dtype=kind), **classes)
        self._is_fitted = True


class RiverRider:
    """One of river's."""

    def __init__(self, estimator: Any, task: Task) -> None:  # noqa: ANN401 - whatever has the methods
        """The estimator has learned nothing yet."""
        self._estimator, self._is_classifier, self._is_fitted = estimator, task == "classification", False
        self.gives_probabilities = self._is_classifier and not _is_of_base(estimator)

    def predict(self, values: Values) -> float | None:
        """The number, or the probability of a yes; None where it does not say, and before the first row."""
        if not self._is_fitted:
            return None
        if not self.gives_probabilities:
            said = self._estimator.predict_one(dict(values))
            return None if said is None else float(said)
        chances = self._estimator.predict_proba_one(dict(values))
        return float(chances.get(True, 0.0)) if chances else None

    def learn(self, values: Values, answer: float) -> None:
        """Learn from a row."""
        target = bool(answer) if self._is_classifier else np.float64(answer)  # factorisation machines need NumPy's
        with np.errstate(all="ignore"):
            self._estimator.learn_one(dict(values), target)
        self._is_fitted = True


def _is_of_base(estimator: Any) -> bool:  # noqa: ANN401 - one of river's
    """Whether what should give probabilities is only river's word for having none."""
    return str(estimator.predict_proba_one.__module__).startswith("river.base.")


def rider(path: str, params: Mapping[str, Any], task: Task) -> Rider:
    """An estimator by the dotted path of its class, that has learned nothing yet.

    Raises:
        ConfigurationError: There is no such class, it does not learn row by row, it does not predict, or it is for
            another task.
    """
    kind = _class(path)
    try:
        estimator = kind(**params)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be made of the params {dict(params)}: {error}") from error
    if hasattr(estimator, "learn_one"):
        _require_method(path, estimator, "predict_one")
        _require(path, task, is_classifier=hasattr(estimator, "predict_proba_one"))
        return RiverRider(estimator, task)
    if hasattr(estimator, "partial_fit"):
        _require_method(path, estimator, "predict")
        _require(path, task, is_classifier="classes" in inspect.signature(estimator.partial_fit).parameters)
        return SklearnRider(estimator, task)
    raise ConfigurationError(f"{path} does not learn row by row: it has neither partial_fit nor learn_one")


def _class(path: str) -> Any:  # noqa: ANN401 - whatever lies there
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"there is no class {path}: {error}; it is written as sklearn.linear_model.SGDClassifier is, and its"
            " library must be installed"
        ) from error
    if not inspect.isclass(found):
        raise ConfigurationError(f"{path} is no class")
    return found


def _require_method(path: str, estimator: Any, method: str) -> None:  # noqa: ANN401 - whatever was made
    if not hasattr(estimator, method):
        raise ConfigurationError(f"{path} learns row by row and predicts nothing: it has no {method}")


def _require(path: str, task: Task, *, is_classifier: bool) -> None:
    if is_classifier != (task == "classification"):
        column = "a boolean column" if is_classifier else "a column of numbers"
        raise ConfigurationError(f"{path} predicts {column}, and the target is another")


def _matrix(values: Values) -> Any:  # noqa: ANN401 - NumPy's, of shape (1, features)
    row: Sequence[float] = [float(value) for value in values.values()]
    return np.array([row])
