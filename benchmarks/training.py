"""How long a search takes to get as good as a notebook's plain loop, on the same folds, stones and threads.

    python benchmarks/training.py [CSV] [--trials 100]

The loop builds its matrices anew in each trial, fits every fold to the end and gives no trial up. It runs twice: over
the search space and the features that notebooks usually give XGBoost (the price itself, a thousand trees), and over
the project's own model and space, so that what is left is the search alone.
"""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
from sklearn.model_selection import KFold, train_test_split
from xgboost import XGBRegressor

from diamonds import models
from diamonds.config import Settings
from diamonds.models import xgboost
from diamonds.pipelines.data_engineering import nodes
from diamonds.pipelines.training.search import search
from diamonds.pipelines.training.tuning import Tuning
from diamonds.schema import FEATURES, GRADES
from diamonds.store.studies import open_studies

ROOT = Path(__file__).parents[1]
STONES, THREADS, SEED = 5_000, 2, 42


@dataclass(frozen=True)
class Course:
    """How a search went: after how many seconds it had which best error."""

    name: str
    seconds: list[float]
    best: list[float]

    def time_to(self, error: float) -> float:
        """The seconds after which it was at least that good; infinite if it never was."""
        return next((second for second, best in zip(self.seconds, self.best, strict=True) if best <= error), np.inf)


def loop(name: str, trials: int, objective: Callable[[optuna.Trial], float]) -> Course:
    """The plain loop of a notebook."""
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=SEED))
    study.optimize(objective, n_trials=trials)
    return course(name, study)


def course(name: str, study: optuna.Study) -> Course:
    """The course of a study."""
    began = study.trials[0].datetime_start
    ended = [trial for trial in study.trials if trial.value is not None and trial.state.name == "COMPLETE"]
    seconds = [(trial.datetime_complete - began).total_seconds() for trial in ended]
    return Course(name, seconds, np.minimum.accumulate([trial.value for trial in ended]).tolist())


def notebook(folds: list[models.Fold]) -> Callable[[optuna.Trial], float]:
    """Raw price, ordered categories, a thousand trees, and a space of several orders of magnitude."""

    def objective(trial: optuna.Trial) -> float:
        model = XGBRegressor(
            reg_lambda=trial.suggest_float("lambda", 1e-8, 1.0, log=True),
            reg_alpha=trial.suggest_float("alpha", 1e-8, 1.0, log=True),
            colsample_bytree=trial.suggest_categorical("colsample_bytree", [0.3, 0.4, 0.5, 0.7]),
            subsample=trial.suggest_categorical("subsample", [0.4, 0.5, 0.6, 0.7, 0.8, 1.0]),
            learning_rate=trial.suggest_float("learning_rate", 1e-8, 1.0, log=True),
            n_estimators=1000,
            max_depth=trial.suggest_int("max_depth", 3, 9),
            min_child_weight=trial.suggest_int("min_child_weight", 1, 10),
            enable_categorical=True,
            random_state=SEED,
            n_jobs=THREADS,
        )
        return float(np.mean([off(model.fit(as_categories(a), a["price"]), as_categories(b), b) for a, b in folds]))

    return objective


def as_categories(stones: pd.DataFrame) -> pd.DataFrame:
    """The features with the grades as ordered categories."""
    ordered = {field: pd.Categorical(stones[field], grades, ordered=True) for field, grades in GRADES.items()}
    return stones[list(FEATURES)].assign(**ordered)


def off(model: XGBRegressor, asked: pd.DataFrame, judged: pd.DataFrame) -> float:
    """The MAE in dollars."""
    return float(np.abs(model.predict(asked) - judged["price"]).mean())


def plain(folds: list[models.Fold], params: xgboost.Params) -> Callable[[optuna.Trial], float]:
    """The project's own model and space, each fold fitted anew and to the end."""

    def objective(trial: optuna.Trial) -> float:
        chosen = xgboost.suggest(trial, params)
        fitted = [(xgboost.build(chosen).fit(known[list(FEATURES)], known["price"]), judged) for known, judged in folds]
        return float(np.mean([off(model, judged[list(FEATURES)], judged) for model, judged in fitted]))

    return objective


def ours(folds: list[models.Fold], params: xgboost.Params, trials: int) -> tuple[Course, dict]:
    """The project's search, its studies in SQLite as in a run."""
    tuning = Tuning(trials=trials, timeout=None, folds=len(folds), seed=SEED, pruner="median")
    with tempfile.TemporaryDirectory() as folder:
        studies = open_studies(Settings(database_url=f"sqlite:///{folder}/studies.db"))
        found = search("xgboost", folds, params, tuning, studies)
        return course("this search", optuna.load_study(study_name=found["study"], storage=studies)), found


def main() -> None:
    """Print what each way reached and when, and how the times compare."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("csv", nargs="?", type=Path, default=ROOT / "data/01_raw/appraisals/diamonds.csv")
    asked.add_argument("--trials", type=int, default=100)
    given = asked.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    train, holdout = divided(given.csv)
    folds = [(train.iloc[a], train.iloc[b]) for a, b in KFold(5, shuffle=True, random_state=SEED).split(train)]
    params = xgboost.Params(n_estimators=600, learning_rate=0.05, max_depth=7, n_jobs=THREADS)

    mine, found = ours(folds, params, given.trials)
    loops = [
        loop("a notebook's loop", given.trials, notebook(folds)),
        loop("the loop, our model", given.trials, plain(folds, params)),
    ]
    print(f"\n{len(train):,} stones, {len(folds)} folds, {THREADS} threads, {given.trials} trials each")
    print(f"{'':22}{'best MAE':>10}{'reached':>10}{'in all':>10}{'ours gets there':>17}{'of its time':>13}")
    for each in (*loops, mine):
        there = mine.time_to(each.best[-1])
        line = f"{each.name:22}{each.best[-1]:>9,.2f}$ {each.time_to(each.best[-1]):>8.1f}s {each.seconds[-1]:>8.1f}s"
        print(line if each is mine else f"{line}{there:>16.1f}s{there / each.time_to(each.best[-1]):>13.3f}")
    chosen = xgboost.build(xgboost.Params.model_validate(found["params"])).fit(train[list(FEATURES)], train["price"])
    print(
        f"the search's best, on the fifth of the stones held out: {off(chosen, holdout[list(FEATURES)], holdout):.2f}$"
    )


def divided(csv: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """At most `STONES` good stones of the file: four fifths to search on, one to look at in the end."""
    good, _ = nodes.check_rows(nodes.read_files({csv.name: csv.read_bytes()})[0])
    stones = good.sample(STONES, random_state=SEED) if len(good) > STONES else good
    train, holdout = train_test_split(stones, test_size=0.2, random_state=SEED)
    return train, holdout


if __name__ == "__main__":
    main()
