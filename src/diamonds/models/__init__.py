"""The models, one file each: a file that is put here is found, trained, judged and kept by itself."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, cast

import pandas as pd
from pydantic import BaseModel

from diamonds.effects import Array
from diamonds.errors import ConfigurationError
from diamonds.schema import FEATURES
from diamonds.stones import SortedStones

if TYPE_CHECKING:
    from optuna import Trial
    from sklearn.base import RegressorMixin

    from diamonds.blocks import Blocks
    from diamonds.effects import Explainer


class ModelModule(Protocol):
    """What a file in this folder offers."""

    Params: type[BaseModel]

    def build(self, params: Any) -> RegressorMixin:  # noqa: ANN401 - each model has its own Params
        """An unfitted scikit-learn regressor from stones (a frame with `schema.FEATURES`) to dollars."""


class TunedModule(ModelModule, Protocol):
    """A model whose parameters are searched for."""

    def suggest(self, trial: Trial, params: Any) -> Any:  # noqa: ANN401 - each model has its own Params
        """The model's `params` with those that the trial chooses."""


#: The stones of a fold to fit to, and those to judge by; both with their prices.
Fold = tuple[pd.DataFrame, pd.DataFrame]
#: Told how many percent are done and the cross-validated MAE in dollars so far; raises where it is not worth going on.
Report = Callable[[int, float], None]
#: Cross-validates parameters: gives their MAE in dollars, and the parameters with what was learned on the way.
CrossValidation = Callable[[Any, Report], tuple[float, Any]]


class CrossValidatedModule(TunedModule, Protocol):
    """A tuned model with a quicker way to be cross-validated than fitting it anew to each fold."""

    def cross_validation(self, folds: Sequence[Fold]) -> CrossValidation:
        """What all trials of a search share, made once."""


class BlockwiseModule(ModelModule, Protocol):
    """A model that learns from stones beyond memory; the others learn from a sample of them."""

    def fit_blocks(self, params: Any, train: Blocks) -> RegressorMixin:  # noqa: ANN401 - each model has its own Params
        """What `build` makes, fitted to all training stones, of which only some blocks are in memory."""


class SavedAsJson(ModelModule, Protocol):
    """A model whose fitted estimator is saved as JSON of its own making; the others are saved by skops."""

    def to_json(self, estimator: Any) -> dict[str, Any]:  # noqa: ANN401 - what its `build` made, fitted
        """All that is needed to restore the fitted estimator, as JSON can hold it."""

    def from_json(self, document: Any) -> RegressorMixin:  # noqa: ANN401 - it comes from a file
        """The estimator that `to_json` was given: it prices the same to the last bit.

        Raises:
            ValueError: The document does not describe an estimator of this model.
        """


class ExplainedModule(ModelModule, Protocol):
    """A model that knows what each feature does to its prices; others are explained by `effects.sampling`."""

    def explainer(self, estimator: Any, training: SortedStones) -> Explainer | None:  # noqa: ANN401 - as fitted
        """What takes stones to their contributions, which add up to what the fitted estimator computes.

        Called once for each pricer, with its training stones, which may be more than fit into a frame: what does not
        depend on the stones that are explained is computed here. None where the estimator is not of this module's
        making.
        """


@dataclass(frozen=True)
class Quick:
    """A fitted estimator asked without its library, or without all of its detours.

    Attributes:
        one: From a completely described stone, grades as in `schema.GRADES`, to what the estimator computes for it, in
            dollars. Raises an `ArithmeticError` where a stone's sizes are too impossible for it: `many` is then asked.
        many: The same for many, as one array; None where the estimator itself is asked.
    """

    one: Callable[[Mapping[str, Any]], float]
    many: Callable[[pd.DataFrame], Array] | None = None


class QuickModule(ModelModule, Protocol):
    """A model that prices a stone without a frame; for others a frame of one row is made."""

    def quick(self, estimator: Any) -> Quick | None:  # noqa: ANN401 - as fitted
        """The quick way to ask the fitted estimator, made once for each pricer.

        `one` and `many` agree to the last bit. None where the estimator is not of this module's making.
        """


def available() -> tuple[str, ...]:
    """The names of all models, in alphabetical order."""
    return tuple(sorted(found.name for found in pkgutil.iter_modules(__path__)))


def get(name: str) -> ModelModule:
    """The module of the model with this name.

    Raises:
        ConfigurationError: There is no such model; the message lists those there are.
    """
    if name not in available():
        raise ConfigurationError(f"there is no model {name!r}; there are {', '.join(available())}")
    return cast("ModelModule", importlib.import_module(f"{__name__}.{name}"))


def is_tuned(module: ModelModule) -> bool:
    """Whether the model declares a search space."""
    return hasattr(module, "suggest")


def cross_validation(module: ModelModule, folds: Sequence[Fold]) -> CrossValidation:
    """The model's own way to be cross-validated, or else a fit to each fold."""
    own: Callable[[Sequence[Fold]], CrossValidation] | None = getattr(module, "cross_validation", None)
    return own(folds) if own else _fold_by_fold(module, folds)


def _fold_by_fold(module: ModelModule, folds: Sequence[Fold]) -> CrossValidation:
    inputs = [(fitted_to[list(FEATURES)], judged[list(FEATURES)]) for fitted_to, judged in folds]

    def validate(params: BaseModel, report: Report) -> tuple[float, BaseModel]:
        maes: list[float] = []
        for (known, asked), (fitted_to, judged) in zip(inputs, folds, strict=True):
            predicted = module.build(params).fit(known, fitted_to["price"]).predict(asked)
            maes.append(float((judged["price"] - predicted).abs().mean(skipna=False)))
            report(100 * len(maes) // len(folds), sum(maes) / len(maes))
        return sum(maes) / len(maes), params

    return validate


def is_blockwise(module: ModelModule) -> TypeGuard[BlockwiseModule]:
    """Whether the model learns from stones in blocks."""
    return hasattr(module, "fit_blocks")


def is_saved_as_json(module: ModelModule) -> TypeGuard[SavedAsJson]:
    """Whether the model has a JSON form of its own."""
    return hasattr(module, "to_json") and hasattr(module, "from_json")


def is_explained(module: ModelModule) -> TypeGuard[ExplainedModule]:
    """Whether the model explains its prices itself."""
    return hasattr(module, "explainer")


def is_quick(module: ModelModule) -> TypeGuard[QuickModule]:
    """Whether the model has a quick way of its own."""
    return hasattr(module, "quick")
