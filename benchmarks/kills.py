"""Whether a retraining can be killed at any instant: what it leaves is whole, serves, and the next one succeeds."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from diamonds.config import Settings
from diamonds.pricer import load
from diamonds.store import history
from diamonds.store.database import open_database

ROOT = Path(__file__).parents[1]
KILLS, STONES, SEED = 20, 3000, 42
#: After so many kills on each other's remains a run is let through.
IN_A_ROW = 4
#: A run of few trees; more of them in each, so that each has a better model to promote.
PARAMETERS = """
tuning: {{trials: 1, timeout: 60, folds: 2, seed: 42, pruner: median}}
calibration: {{confidence: 0.9, folds: 2, seed: 42}}
models:
  median: {{}}
  linear: {{numbers: [carat, x]}}
  hist_gradient_boosting: {{max_iter: 10}}
  xgboost: {{n_estimators: {trees}, learning_rate: 0.03, n_jobs: 1}}
"""


def main() -> None:
    """Kill retrainings in a copy of the project, so that nothing of this one changes."""
    chance = random.Random(SEED)  # noqa: S311 - nothing here is secret
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder) / "project")
        seconds = undisturbed(project)
        problems = []
        for kill in range(1, KILLS + 1):
            ask_for_more(project, kill)
            after = chance.uniform(0.1, 1.05) * seconds
            killed = retrain_and_kill(project, after)
            found = inconsistencies(project)
            print(f"kill {kill:2} after {after:4.1f} s{'' if killed else ' (it had ended)'}: {found or 'all is whole'}")
            problems += found
            if kill % IN_A_ROW == 0:
                problems += next_runs_fail(project)
        champions = len(memory(project)[2])
    print(f"{KILLS} kills, {champions} champions, {len(problems)} problems")
    sys.exit(bool(problems))


def make_project(folder: Path) -> Path:
    """A copy of the project with few stones and no run."""
    shutil.copytree(ROOT / "conf", folder / "conf", ignore=shutil.ignore_patterns("*.local.yml"))
    (folder / "src").mkdir()
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, folder)
    raw = folder / "data/01_raw/appraisals"
    raw.mkdir(parents=True)
    stones = pd.read_csv(ROOT / "data/01_raw/appraisals/diamonds.csv").sample(STONES, random_state=SEED)
    stones.to_csv(raw / "diamonds.csv", index=False)
    ask_for_more(folder, 0)
    return folder


def ask_for_more(project: Path, kill: int) -> None:
    """Let the next run find a better model."""
    (project / "conf/local/parameters.yml").write_text(PARAMETERS.format(trees=20 + 4 * kill))


def undisturbed(project: Path) -> float:
    """The seconds that a run takes which nothing ends."""
    began = time.monotonic()
    subprocess.run(
        command("diamonds", "retrain"), cwd=project, env=environment(project), check=True, capture_output=True
    )
    return time.monotonic() - began


def retrain_and_kill(project: Path, seconds: float) -> bool:
    """Start a retraining and kill it after so long; answers whether it was still running."""
    run = subprocess.Popen(
        command("diamonds", "retrain", "--if-fresh"), cwd=project, env=environment(project),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with run:
        time.sleep(seconds)  # it is to be met anywhere
        killed = run.poll() is None
        run.kill()
    return killed


def next_runs_fail(project: Path) -> list[str]:
    """What the runs say that come after the kills, where they fail or do not mend what was left."""
    problems = []
    for words in (("kedro", "run", "--pipelines=training"), ("diamonds", "retrain", "--if-fresh")):
        done = subprocess.run(
            command(*words), cwd=project, env=environment(project), capture_output=True, text=True, check=False
        )
        print(f"  {' '.join(words)}: exit status {done.returncode}")
        if done.returncode:
            problems.append(done.stderr[-500:])
    champion = memory(project)[1]
    latest = (project / "bentoml/models/diamonds/latest").read_text()
    if champion is None or latest != f"{champion.name}-{champion.version}-{champion.promotion_id}".casefold():
        problems.append(f"the store serves {latest}, and the champion is {champion}")
    return problems + inconsistencies(project)


def inconsistencies(project: Path) -> list[str]:
    """What is not as it should be: in the history, in each version of each dataset, and in what serves."""
    runs, champion, _ = memory(project)
    found = [f"the run {run['id']} is said to run" for run in runs if run["outcome"] == history.RUNNING]
    found += [problem for version in versions(project) if (problem := cannot(read, version))]
    places = [project / champion.artefact] if champion else []
    store = project / "bentoml/models/diamonds"
    if (store / "latest").exists():
        places.append(store / (store / "latest").read_text())
    return found + [problem for place in places if (problem := cannot(price, place))]


def cannot(do: Callable[[Path], object], place: Path) -> str | None:
    """Why this cannot be done with what lies there; None if it can."""
    try:
        do(place)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is found
        return f"{place}: {type(error).__name__}: {error}"
    return None


def versions(project: Path) -> Iterator[Path]:
    """Each version that Kedro would find, of all datasets."""
    for place in (project / "data").glob("0[2-8]_*/*/*/*"):
        if place.name == place.parents[1].name:
            yield place


def read(version: Path) -> object:
    """Read a version as what it is."""
    if version.is_dir():
        return load(version)
    if version.suffix == ".parquet":
        return pd.read_parquet(version)
    return pd.read_csv(version) if version.suffix == ".csv" else json.loads(version.read_bytes())


def price(folder: Path) -> object:
    """Price a stone with the pricer that lies there."""
    pricer = load(folder)
    return pricer.price(pricer.stones.head(1))


def memory(project: Path) -> tuple[list[dict[str, Any]], history.Champion | None, list[dict[str, Any]]]:
    """The runs, the champion and the promotions."""
    engine = open_database(Settings.model_validate({"database_url": f"sqlite:///{project}/data/diamonds.db"}))
    try:
        return history.runs(engine), history.champion(engine), history.promotions(engine)
    finally:
        engine.dispose()


def environment(project: Path) -> dict[str, str]:
    """The variables of a project of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DIAMONDS_", "MLFLOW_"))}
    return kept | {"BENTOML_HOME": f"{project}/bentoml", "BENTOML_DO_NOT_TRACK": "True", "OMP_NUM_THREADS": "1"}


def command(program: str, *words: str) -> list[str]:
    """A program of this environment."""
    return [str(Path(sys.executable).with_name(program)), *words]


if __name__ == "__main__":
    main()
