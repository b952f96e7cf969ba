"""The models, one file each: a file that is put here is found, trained, judged and kept by itself."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any, Protocol, cast

from pydantic import BaseModel

from diamonds.errors import ConfigurationError

if TYPE_CHECKING:
    from optuna import Trial
    from sklearn.base import RegressorMixin


class ModelModule(Protocol):
    """What a file in this folder offers."""

    Params: type[BaseModel]

    def build(self, params: Any) -> RegressorMixin:  # noqa: ANN401 - each model has its own Params
        """An unfitted scikit-learn regressor from stones (a frame with `schema.FEATURES`) to dollars."""


class TunedModule(ModelModule, Protocol):
    """A model whose parameters are searched for."""

    def suggest(self, trial: Trial, params: Any) -> Any:  # noqa: ANN401 - each model has its own Params
        """The model's `params` with those that the trial chooses."""


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
