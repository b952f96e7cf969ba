"""Tuning, fitting and calibrating one model; each function here makes the node of the model it is given."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
from pydantic import BaseModel, Field

from diamonds import models
from diamonds.blocks import Blocks, Engine, current, some_of
from diamonds.features import Proportions, only_four_cs, without_length
from diamonds.intervals import ConformalBand
from diamonds.pipelines.training.tuning import Tuning
from diamonds.pricer import Pricer, TrainingSummary, dollars
from diamonds.pricer.estimator import dump, restore
from diamonds.schema import FEATURES
from diamonds.stones import SortedStones

logger = logging.getLogger(__name__)

#: What a model's parameters are told beside, where it has learned from some of the training stones.
FITTED_TO = "fitted_to"
SEED = 42


class Calibration(BaseModel, extra="forbid"):
    """How the band is learned.

    Attributes:
        confidence: The share of prices that should fall inside.
        folds: How many folds give the predictions that it is learned from.
        seed: Of the folds.
    """

    confidence: float = Field(gt=0, lt=1)
    folds: int = Field(ge=2)
    seed: int


class _Fitted(Protocol):
    """A fitted scikit-learn regressor."""

    def predict(self, stones: pd.DataFrame) -> Any:  # noqa: ANN401
        ...


def tuning(name: str) -> Callable[..., dict[str, Any]]:
    """The node that chooses the parameters of a model: by a search, where the model declares one."""
    module = models.get(name)

    def tune(
        train: pd.DataFrame | Blocks,
        params: BaseModel,
        tuning: Tuning,
        studies: Any,  # noqa: ANN401 - opens Optuna's storage
        engine: Engine = Engine(),  # noqa: B008 - it is never changed
    ) -> dict[str, Any]:
        if not models.is_tuned(module):
            return {"params": params.model_dump(mode="json"), "trials": []}
        from diamonds.pipelines.training.search import search

        some = some_of(train, engine.most_stones, SEED)
        folds = [(some.iloc[known], some.iloc[judged]) for known, judged in _folds(some, tuning.folds, tuning.seed)]
        return search(name, folds, params, tuning, studies())

    tune.__annotations__["params"] = module.Params  # Kedro checks the model's entry against it before any node runs
    return tune


def plotting_search(name: str) -> Callable[..., Any]:
    """The node that draws a tuned model's search: its course, the parameters' importances, the trials as lines."""

    def plot_search(chosen: dict[str, Any], studies: Any) -> Any:  # noqa: ANN401 - Optuna's storage, Plotly's figures
        import optuna

        from diamonds.pipelines.training.figures import figures_of

        return figures_of(name, optuna.load_study(study_name=chosen["study"], storage=studies()))

    return plot_search


def fitting(name: str) -> Callable[..., _Fitted]:
    """The node that fits a model to the training stones."""
    module = models.get(name)

    def fit(
        train: pd.DataFrame | Blocks,
        chosen: dict[str, Any],
        engine: Engine = Engine(),  # noqa: B008 - it is never changed
    ) -> _Fitted:
        params = module.Params.model_validate(chosen["params"])
        if isinstance(train, Blocks) and models.is_blockwise(module):
            fitted: _Fitted = module.fit_blocks(params, train)
            return fitted
        some = some_of(train, engine.most_stones, SEED)
        if len(some) < len(train):
            known = f"{len(some):,} of {len(train):,}"
            logger.warning("%s learns from %s stones, for it takes them in memory (engine.most_stones)", name, known)
        return _fit(module, some, params)

    return fit


def calibrating(name: str) -> Callable[..., Pricer]:
    """The node that learns a model's band from predictions on folds it was not fitted to, and makes its pricer."""
    module = models.get(name)

    def calibrate(  # noqa: PLR0913, PLR0917 - what a pricer is made of
        train: pd.DataFrame | Blocks,
        estimator: _Fitted,
        chosen: dict[str, Any],
        data_report: dict[str, Any],
        calibration: Calibration,
        engine: Engine = Engine(),  # noqa: B008 - it is never changed
    ) -> Pricer:
        params = module.Params.model_validate(chosen["params"])
        some = some_of(train, engine.most_stones, SEED)
        measured, partly, guessed = (
            ConformalBand.calibrate(some["carat"], some["price"], quoted, calibration.confidence)
            for quoted in _out_of_fold(module, some, params, calibration)
        )
        restore(name, dump(name, estimator))  # what cannot be saved and loaded fails here, and this model alone
        summary = TrainingSummary.of(some, chosen["params"], data_report["data_fingerprint"])
        return Pricer(
            name=name,
            estimator=estimator,
            band=measured,
            partly_band=partly.around(measured).around(guessed),
            guessed_band=guessed,
            proportions=Proportions.of(some),
            summary=_of_all(summary, module, train) if isinstance(train, Blocks) else summary,
            stones=_sorted(train),
        )

    return calibrate


def _sorted(train: pd.DataFrame | Blocks) -> SortedStones:
    """The training stones as a pricer keeps them; those in blocks are sorted on the disk."""
    if isinstance(train, Blocks):
        return SortedStones.from_blocks(train, current().new_folder())
    return SortedStones.of(train)


def _of_all(summary: TrainingSummary, module: models.ModelModule, train: Blocks) -> TrainingSummary:
    """The summary of a training on all these stones; it says so where the model itself has learned from fewer."""
    fitted_to = {} if models.is_blockwise(module) or summary.rows == len(train) else {FITTED_TO: summary.rows}
    return replace(summary.over(train), params=summary.params | fitted_to)


def _out_of_fold(
    module: models.ModelModule, train: pd.DataFrame, params: BaseModel, calibration: Calibration
) -> tuple[pd.Series, ...]:
    """What a model that was not fitted to it quotes for each stone: measured, without its length, by its four Cs."""
    found = tuple(pd.Series(np.nan, index=train.index) for _ in range(3))
    for fitted_to, held_out in _folds(train, calibration.folds, calibration.seed):
        learned_from, judged = train.iloc[fitted_to], train.iloc[held_out]
        estimator, proportions = _fit(module, learned_from, params), Proportions.of(learned_from)
        for quoted, asked in zip(found, (judged, without_length(judged), only_four_cs(judged)), strict=True):
            quoted.iloc[held_out] = dollars(estimator, proportions.complete(asked))
    return found


def _fit(module: models.ModelModule, train: pd.DataFrame, params: BaseModel) -> _Fitted:
    fitted: _Fitted = module.build(params).fit(train[list(FEATURES)], train["price"])
    return fitted


def _folds(train: pd.DataFrame, folds: int, seed: int) -> list[tuple[Any, Any]]:
    from sklearn.model_selection import KFold

    return list(KFold(folds, shuffle=True, random_state=seed).split(train))
