"""The search for a model's parameters, with Optuna."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import signal
import threading
import time
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FixedTrial, FrozenTrial, Trial, TrialState
from pydantic import BaseModel
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from diamonds import features, models
from diamonds.errors import ConfigurationError, DatabaseError, ModelError
from diamonds.pipelines.training.tuning import Tuning
from diamonds.schema import frame_hash
from diamonds.store.studies import alone, give_up_silent

logger = logging.getLogger(__name__)

#: Changes how fast a model is fitted, not how good it is: trials that differ in it alone are comparable.
NOT_COMPARED = {"n_jobs"}
#: A trial is not given up before so many percent of it: who learns slowly may end up best.
WARM_UP = 30
#: In seconds: how often it is looked whether trials of other processes have ended.
LOOK_SECONDS = 0.2
PRUNERS = {
    "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=WARM_UP),
    "hyperband": lambda: optuna.pruners.HyperbandPruner(min_resource=WARM_UP, max_resource=100),
    "none": optuna.pruners.NopPruner,
}
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


def search(
    name: str, folds: list[models.Fold], params: BaseModel, tuning: Tuning, storage: optuna.storages.BaseStorage
) -> dict[str, Any]:
    """Try `tuning.trials` further sets of parameters; the model's entry itself is the first of a new study.

    A study holds what can be compared: the same stones, folds, space, fixed parameters and code. Where there is one
    already, it is gone on with; a new one begins with the best of the model's last. Whoever works on the same study
    meanwhile, in another process or on another machine, shares the work: what it begins is waited for, and done here
    where it was killed. Ctrl-C ends the search with the best so far.

    Returns:
        `params`, the best; `cross_validated_mae` in dollars; `study`, its name; `trials`, all of the study.

    Raises:
        ConfigurationError: The entry lies outside the search space.
        DatabaseError: The database went away.
        ModelError: A trial's error is no number, or none ended before the timeout.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    module = models.get(name)
    space = _space(name, params)
    with alone(storage):
        study = _study(f"{name}-{_digest(module, folds, params, space, tuning)}", tuning, storage)
        _enqueue(study, [params.model_dump(), _last_best(study, storage)], space)
    validate = models.cross_validation(module, folds)
    interrupt = _Interrupt()

    def objective(trial: Trial) -> float:
        def report(percent: int, mae: float) -> None:
            if interrupt.came:
                raise _InterruptedError
            trial.report(mae, percent)
            if percent < 100 and trial.should_prune():  # noqa: PLR2004 - what is whole is not given up
                raise optuna.TrialPruned

        mae, learned = validate(module.suggest(trial, params), report)  # type: ignore[attr-defined]
        if not math.isfinite(mae):  # Optuna would fail the trial in silence, and the search never reach its goal
            raise ModelError(f"trial {trial.number} was judged with an error of {mae}: the model computes no prices")
        trial.set_user_attr("params", learned.model_dump(mode="json", exclude=NOT_COMPARED))
        return mae

    before = _count(study, ENDED)
    goal = _Goal(before + tuning.trials, {trial.number for trial in _trials(study, [TrialState.RUNNING])})
    with interrupt, _Bar(name, before, tuning.trials) as bar, _plain_loss():
        for left in _turns(study, storage, goal, tuning.timeout, interrupt):
            study.optimize(
                objective, timeout=left, catch=_InterruptedError, callbacks=[bar.advance, _until(goal, interrupt)]
            )
    if not _count(study, [TrialState.COMPLETE]):
        if interrupt.came:
            raise KeyboardInterrupt
        raise ModelError(f"no trial of {name} ended within {tuning.timeout} s: give the search a longer timeout")
    if interrupt.came:
        logger.warning("%s: the search was interrupted; going on with the best so far", name)
    _log(name, study, before, tuning, interrupted=interrupt.came)
    return _found(study, params)


def _found(study: optuna.Study, params: BaseModel) -> dict[str, Any]:
    """What a search found, as JSON can hold it."""
    return {
        "params": params.model_copy(update=study.best_trial.user_attrs["params"]).model_dump(mode="json"),
        "cross_validated_mae": study.best_value,
        "study": study.study_name,
        "trials": [
            {"number": trial.number, "mae": trial.value, "state": trial.state.name, "params": trial.params}
            for trial in study.trials
        ],
    }


@contextmanager
def _plain_loss() -> Iterator[None]:
    """Say in plain words that the database went away."""
    try:
        yield
    except (UnboundLocalError, optuna.exceptions.StorageInternalError) as error:
        # Where a trial's end cannot be written, Optuna trips over a variable of its own
        lost = error.__context__ if isinstance(error, UnboundLocalError) else error
        reason = (lost and lost.__cause__) or lost or error
        raise DatabaseError(f"the search lost its database: {reason}") from error


def _space(name: str, params: BaseModel) -> dict[str, BaseDistribution]:
    """The search space, as the model declares it."""
    entry = FixedTrial(params.model_dump())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what is out of range is said below
        models.get(name).suggest(entry, params)  # type: ignore[attr-defined]
    for parameter, distribution in entry.distributions.items():
        if not _holds(distribution, entry.params[parameter]):
            raise ConfigurationError(
                f"models.{name}.{parameter} is {entry.params[parameter]!r}, which the model's search space"
                f" does not hold ({distribution}): change the entry, or `suggest` in src/diamonds/models/{name}.py"
            )
    return dict(entry.distributions)


def _holds(distribution: BaseDistribution, value: Any) -> bool:  # noqa: ANN401 - a parameter is anything
    try:
        return bool(distribution._contains(distribution.to_internal_repr(value)))
    except ValueError:
        return False


def _digest(
    module: models.ModelModule,
    folds: list[models.Fold],
    params: BaseModel,
    space: dict[str, BaseDistribution],
    tuning: Tuning,
) -> str:
    """Names what makes trials comparable."""
    fixed = params.model_dump(mode="json", exclude=NOT_COMPARED | set(space))
    compared = {
        "fixed": fixed,
        "space": {parameter: distribution_to_json(distribution) for parameter, distribution in space.items()},
        "folds": tuning.folds,
        "seed": tuning.seed,
    }
    digest = hashlib.sha256(json.dumps(compared, sort_keys=True).encode())
    for code in (module, features):
        digest.update(Path(str(code.__file__)).read_bytes())  # type: ignore[union-attr]
    for _, judged in folds:
        digest.update(frame_hash(judged).encode())
    return digest.hexdigest()[:12]


def _study(study_name: str, tuning: Tuning, storage: optuna.storages.BaseStorage) -> optuna.Study:
    return optuna.create_study(
        study_name=study_name,
        storage=storage,
        sampler=_SeededSampler(tuning.seed),
        pruner=PRUNERS[tuning.pruner](),
        load_if_exists=True,
    )


def _enqueue(
    study: optuna.Study, candidates: list[dict[str, Any] | None], space: dict[str, BaseDistribution]
) -> None:  # fmt: skip
    """Let the study begin with the candidates that lie in its space; one whose trial was cut off is tried again."""
    states = (*ENDED, TrialState.WAITING, TrialState.RUNNING)
    trials = study.get_trials(deepcopy=False, states=states)
    known = [trial.system_attrs.get("fixed_params", trial.params) for trial in trials]
    for values in candidates:
        if values and all(parameter in values and _holds(space[parameter], values[parameter]) for parameter in space):
            candidate = {parameter: values[parameter] for parameter in space}
            if candidate not in known:
                study.enqueue_trial(candidate)
                known.append(candidate)


def _last_best(study: optuna.Study, storage: optuna.storages.BaseStorage) -> dict[str, Any] | None:
    """The best parameters of the model's last study before this one; None if there is none, or this one has begun."""
    if study.get_trials(deepcopy=False, states=ENDED):
        return None
    model = study.study_name.rpartition("-")[0]
    others = {each._study_id for each in storage.get_all_studies() if each.study_name.rpartition("-")[0] == model}
    for study_id in sorted(others - {study._study_id}, reverse=True):
        if storage.get_all_trials(study_id, deepcopy=False, states=(TrialState.COMPLETE,)):
            return dict(storage.get_best_trial(study_id).params)
    return None


class _SeededSampler(BaseSampler):  # type: ignore[misc]
    """TPE whose draws follow from the seed, the trial's number and the trials before it.

    So a search that goes on where it stopped is the search that never stopped, and processes that share a study draw
    apart. Source of TPE: Bergstra et al., "Algorithms for hyper-parameter optimization", NIPS 2011.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return dict(self._of(trial).infer_relative_search_space(study, trial))

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return dict(self._of(trial).sample_relative(study, trial, search_space))

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:  # noqa: ANN401 - Optuna's signature
        return self._of(trial, param_name).sample_independent(study, trial, param_name, param_distribution)

    def _of(self, trial: FrozenTrial, parameter: str = "") -> TPESampler:
        return TPESampler(seed=zlib.crc32(f"{self._seed} {trial.number} {parameter}".encode()))


class _InterruptedError(Exception):
    """Ctrl-C was pressed while a trial was under way."""


class _Interrupt:
    """Ctrl-C, kept until the search can end in good order; pressed again, it ends the process as always.

    Raised wherever it comes, it may leave the thread behind that tells the database of a trial's life.
    """

    def __init__(self) -> None:
        self.came = False

    def __enter__(self) -> None:
        self._before = signal.getsignal(signal.SIGINT)
        in_main = threading.current_thread() is threading.main_thread()
        self._kept = in_main and self._before is not signal.SIG_IGN  # as in the background of a script
        if self._kept:
            signal.signal(signal.SIGINT, self._keep)

    def __exit__(self, *_: object) -> None:
        if self._kept:
            signal.signal(signal.SIGINT, self._before)

    def _keep(self, *_: object) -> None:
        self.came = True
        signal.signal(signal.SIGINT, self._before)


def _trials(study: optuna.Study, states: Iterable[TrialState]) -> list[FrozenTrial]:
    return list(study.get_trials(deepcopy=False, states=tuple(states)))


def _count(study: optuna.Study, states: Iterable[TrialState]) -> int:
    return len(_trials(study, states))


class _Goal(NamedTuple):
    """How many trials are to have ended, whoever makes them.

    Attributes:
        trials: So many.
        left_alone: The numbers of those under way as the search began: they may be a killed process's, so that they
            count when they have ended, and are not waited for.
    """

    trials: int
    left_alone: set[int]

    def is_reached(self, study: optuna.Study) -> bool:
        return _count(study, ENDED) >= self.trials

    def is_in_sight(self, study: optuna.Study) -> bool:
        """Whether it is reached when all have ended that are under way."""
        under_way = {trial.number for trial in _trials(study, [TrialState.RUNNING])} - self.left_alone
        return _count(study, ENDED) + len(under_way) >= self.trials


def _turns(
    study: optuna.Study,
    storage: optuna.storages.BaseStorage,
    goal: _Goal,
    timeout: float | None,
    interrupt: _Interrupt,
) -> Iterator[float | None]:
    """The seconds left, if there is a timeout, each time that trials are missing which nobody has begun."""
    began = time.monotonic()
    while not goal.is_reached(study) and not interrupt.came:
        left = None if timeout is None else timeout - (time.monotonic() - began)
        if left is not None and left <= 0:
            return
        if not goal.is_in_sight(study):
            yield left
        elif not give_up_silent(study, storage):
            return
        else:
            time.sleep(LOOK_SECONDS)


def _until(goal: _Goal, interrupt: _Interrupt) -> Any:  # noqa: ANN401 - Optuna's callback
    """Stop when so many trials have ended or are under way, whoever makes them, or on Ctrl-C."""

    def stop(study: optuna.Study, trial: FrozenTrial) -> None:  # noqa: ARG001 - Optuna's callback
        if interrupt.came or goal.is_in_sight(study):
            study.stop()

    return stop


def _log(name: str, study: optuna.Study, before: int, tuning: Tuning, *, interrupted: bool) -> None:
    ended = study.get_trials(deepcopy=False, states=ENDED)
    pruned = sum(trial.state == TrialState.PRUNED for trial in ended)
    logger.info(
        "%s: %d trials, %d of them pruned, %d from before; the best cross-validated MAE is $%.2f",
        *(name, len(ended), pruned, before, study.best_value),
    )
    under_way = _count(study, [TrialState.RUNNING])
    if len(ended) + under_way >= before + tuning.trials:
        if under_way:
            logger.info("%s: %d further trials are under way in other processes, or were cut off", name, under_way)
    elif not interrupted:
        logger.warning(
            "%s: the search ended after %d of %d trials; its timeout is %s s",
            *(name, len(ended) - before, tuning.trials, tuning.timeout or "not set:"),
        )


class _Bar:
    """Shows how many trials are done, how many of them were pruned, the time left and the best error so far."""

    def __init__(self, name: str, before: int, trials: int) -> None:
        self._bar = Progress(
            TextColumn("tuning {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("trials, {task.fields[pruned]} pruned,"),
            TimeRemainingColumn(),
            TextColumn("left, best {task.fields[best]}"),
            console=Console(stderr=True),
        )
        self._before = before
        self._task = self._bar.add_task(name, total=trials, pruned=0, best="not known yet")

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def advance(self, study: optuna.Study, trial: FrozenTrial) -> None:  # noqa: ARG002 - Optuna's callback
        """Show that a trial ended."""
        ended = study.get_trials(deepcopy=False, states=ENDED)
        best = min((each.value for each in ended if each.state == TrialState.COMPLETE), default=None)
        self._bar.update(
            self._task,
            completed=len(ended) - self._before,
            pruned=sum(each.state == TrialState.PRUNED for each in ended[self._before :]),
            best="not known yet" if best is None else f"${best:,.2f}",
        )
