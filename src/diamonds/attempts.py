"""Steps of one model that may fail without keeping the other models from going on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from diamonds.errors import DiamondsError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """What stands where a model's step would have left its result.

    Attributes:
        model: Whose step failed.
        error: Why, in one line.
    """

    model: str
    error: str


def attempt(model: str, step: Callable[..., Any], outputs: int = 1) -> Callable[..., Any]:
    """The step, which gives a `Failure` for each of its outputs where it fails, or where it is given one."""

    @wraps(step)
    def tried(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the step takes and gives
        failed = next((each for each in (*args, *kwargs.values()) if isinstance(each, Failure)), None)
        if failed is None:
            try:
                return step(*args, **kwargs)
            except Exception as error:
                failed = Failure(model, _plain(error))
                known = isinstance(error, DiamondsError)
                logger.error("%s failed: %s", model, failed.error, exc_info=None if known else error)
        return failed if outputs == 1 else (failed,) * outputs

    return tried


def _plain(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, DiamondsError) else f"{type(error).__name__}: {text}"


def succeeded(*results: Any) -> list[Any]:  # noqa: ANN401 - of any step
    """The results that are there."""
    return [result for result in results if not isinstance(result, Failure)]
