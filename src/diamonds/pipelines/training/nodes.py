"""Tuning, fitting and calibrating one model; each function here makes the node of the model it is given."""

import logging
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import pandas as pd
from pydantic import BaseModel, Field

from diamonds import models
from diamonds.features import Proportions, only_four_cs
from diamonds.intervals import ConformalBand
from diamonds.metrics import errors
from diamonds.pricer import Pricer, TrainingSummary, dollars
from diamonds.schema import FEATURES

logger = logging.getLogger(__name__)


class Tuning(BaseModel, extra="forbid"):
    """How parameters are searched for.

    Attributes:
        trials: How many sets of parameters are tried; the first is the one that the model's entry names.
        timeout: Seconds after which no further trial begins.
        folds: How many folds judge each, inside the training stones.
        seed: Of the sampler and the folds.
    """

    trials: int = Field(ge=1)
    timeout: float = Field(gt=0)
    folds: int = Field(ge=2)
    seed: int


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

    def tune(train: pd.DataFrame, params: BaseModel, tuning: Tuning) -> dict[str, Any]:
        if not models.is_tuned(module):
            return {"params": params.model_dump(mode="json"), "trials": []}
        return _search(name, train, params, tuning)

    tune.__annotations__["params"] = module.Params  # Kedro checks the model's entry against it before any node runs
    return tune


def fitting(name: str) -> Callable[..., _Fitted]:
    """The node that fits a model to the training stones."""
    module = models.get(name)

    def fit(train: pd.DataFrame, chosen: dict[str, Any]) -> _Fitted:
        return _fit(module, train, module.Params.model_validate(chosen["params"]))

    return fit


def calibrating(name: str) -> Callable[..., Pricer]:
    """The node that learns a model's band from predictions on folds it was not fitted to, and makes its pricer."""
    module = models.get(name)

    def calibrate(
        train: pd.DataFrame,
        estimator: _Fitted,
        chosen: dict[str, Any],
        data_report: dict[str, Any],
        calibration: Calibration,
    ) -> Pricer:
        params = module.Params.model_validate(chosen["params"])
        measured, guessed = _out_of_fold(module, train, params, calibration)
        return Pricer(
            name=name,
            estimator=estimator,
            band=ConformalBand.calibrate(train["carat"], train["price"], measured, calibration.confidence),
            guessed_band=ConformalBand.calibrate(train["carat"], train["price"], guessed, calibration.confidence),
            proportions=Proportions.of(train),
            summary=TrainingSummary.of(train, chosen["params"], data_report["data_fingerprint"]),
            stones=train,
        )

    return calibrate


def _out_of_fold(
    module: models.ModelModule, train: pd.DataFrame, params: BaseModel, calibration: Calibration
) -> tuple[pd.Series, pd.Series]:
    """What a model that was not fitted to it quotes for each stone: as measured, and by its four Cs alone."""
    measured, guessed = (pd.Series(np.nan, index=train.index) for _ in range(2))
    for fitted_to, held_out in _folds(train, calibration.folds, calibration.seed):
        learned_from, judged = train.iloc[fitted_to], train.iloc[held_out]
        estimator = _fit(module, learned_from, params)
        measured.iloc[held_out] = dollars(estimator, judged)
        guessed.iloc[held_out] = dollars(estimator, Proportions.of(learned_from).complete(only_four_cs(judged)))
    return measured, guessed


def _fit(module: models.ModelModule, train: pd.DataFrame, params: BaseModel) -> _Fitted:
    fitted: _Fitted = module.build(params).fit(train[list(FEATURES)], train["price"])
    return fitted


def _folds(train: pd.DataFrame, folds: int, seed: int) -> list[tuple[Any, Any]]:
    from sklearn.model_selection import KFold

    return list(KFold(folds, shuffle=True, random_state=seed).split(train))


def _search(name: str, train: pd.DataFrame, params: BaseModel, tuning: Tuning) -> dict[str, Any]:
    """Search with Optuna; a trial that is behind the median after a fold is not carried on."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    module = models.get(name)
    folds = _folds(train, tuning.folds, tuning.seed)

    def objective(trial: optuna.Trial) -> float:
        maes: list[float] = []
        for step, (fitted_to, held_out) in enumerate(folds):
            estimator = _fit(module, train.iloc[fitted_to], module.suggest(trial, params))  # type: ignore[attr-defined]
            judged = train.iloc[held_out]
            predicted = pd.Series(estimator.predict(judged[list(FEATURES)]), index=judged.index)
            maes.append(errors(judged["price"], predicted)["mae"])
            trial.report(float(np.mean(maes)), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return float(np.mean(maes))

    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=tuning.seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=2),
    )
    study.enqueue_trial(params.model_dump())
    with _Progress(name, tuning.trials) as progress:
        study.optimize(objective, n_trials=tuning.trials, timeout=tuning.timeout, callbacks=[progress.advance])
    chosen = module.suggest(optuna.trial.FixedTrial(study.best_params), params)  # type: ignore[attr-defined]
    logger.info(
        "%s: %d trials, %d of them pruned; the best cross-validated MAE is $%.2f",
        name,
        len(study.trials),
        len(study.get_trials(states=[optuna.trial.TrialState.PRUNED])),
        study.best_value,
    )
    if len(study.trials) < tuning.trials:
        logger.warning(
            "%s: the timeout of %g s ended the search after %d of %d trials",
            name, tuning.timeout, len(study.trials), tuning.trials,
        )  # fmt: skip
    trials = [
        {"number": trial.number, "mae": trial.value, "state": trial.state.name, "params": trial.params}
        for trial in study.trials
    ]
    return {
        "params": chosen.model_dump(mode="json"),
        "cross_validated_mae": study.best_value,
        "trials": trials,
    }


class _Progress:
    """A bar that shows how many trials are done, the time left and the best error so far."""

    def __init__(self, name: str, trials: int) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._bar = Progress(
            TextColumn("tuning {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("trials,"),
            TimeRemainingColumn(),
            TextColumn("left, best {task.fields[best]}"),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task(name, total=trials, best="not known yet")

    def __enter__(self) -> "_Progress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def advance(self, study: Any, trial: Any) -> None:  # noqa: ANN401, ARG002 - Optuna's callback
        """Show that a trial ended."""
        self._bar.update(self._task, advance=1, best=f"${study.best_value:,.2f}")
