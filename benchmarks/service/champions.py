"""Champions to serve: of a project trained for this, of one that is trained already, or of any number of stones."""

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.service.servers import ROOT, neutral_environment
from diamonds import models
from diamonds.config import Settings
from diamonds.datasets import BentoModelDataset
from diamonds.datasets.champion import CurrentChampion
from diamonds.features import Proportions
from diamonds.intervals import ConformalBand
from diamonds.pricer import Pricer, TrainingSummary, save
from diamonds.schema import FEATURES
from diamonds.stones import SortedStones
from diamonds.store import history
from diamonds.store.database import open_database


def train(project: Path) -> None:
    """Make a copy of the project in an empty folder and run it with the default data and parameters."""
    shutil.copytree(ROOT / "conf", project / "conf")
    shutil.copytree(ROOT / "data/01_raw", project / "data/01_raw")
    (project / "src").mkdir()
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, project)
    environment = neutral_environment() | {"BENTOML_HOME": f"{project}/bentoml"}
    subprocess.run(
        [sys.executable, "-m", "kedro", "run"], cwd=project, env=environment, check=True, capture_output=True
    )


def champion_of(project: Path | None, folder: Path) -> Path:
    """A Bento store with the champion of a project, or of one that is trained for this."""
    if project is None:
        print("training a champion", file=sys.stderr)
        project = folder / "trained"
        train(project)
    publish_champion_of(project, folder / "champion")
    return folder / "champion"


def publish_champion_of(project: Path, store: Path) -> None:
    """Put the champion of a trained project into a Bento store of its own; the project stays as it is.

    Raises:
        SystemExit: It has none.
    """
    database = project.absolute() / "data/diamonds.db"
    if not database.exists():
        raise SystemExit(f"{project} is not a trained project: it has no data/diamonds.db")
    engine = open_database(Settings(database_url=f"sqlite:///{database}"))
    try:
        entry = history.champion(engine)
    finally:
        engine.dispose()
    if entry is None:
        raise SystemExit(f"{project} has no champion: run `kedro run` there")
    publish(entry, project / entry.artefact, store)


def publish_perturbed(stones: pd.DataFrame, size: int, store: Path) -> None:
    """Put a cheap pricer that knows this many stones, made by perturbing those given, into a Bento store."""
    version = f"{size}-stones"
    folder = store / "made" / version
    save(median_pricer(perturbed(stones, size)), folder, version)
    now = datetime.now(UTC)
    publish(
        history.Champion(1, now, "made for a benchmark", "median", version, now, {}, {}, str(folder)), folder, store
    )
    shutil.rmtree(folder)


def publish(entry: history.Champion, folder: Path, store: Path) -> None:
    """Make a saved pricer the champion of a Bento store."""
    os.environ["BENTOML_HOME"] = str(store)
    store.mkdir(exist_ok=True)
    BentoModelDataset(name="diamonds").save(CurrentChampion(entry, folder, pricer=None, problem=None))


def perturbed(stones: pd.DataFrame, size: int) -> pd.DataFrame:
    """As many stones as are wanted: drawn with replacement, their sizes changed by a few percent, weights to match.

    A weight has three decimals, so that a group of equal grades has many different ones.
    """
    drawn = stones.sample(size, replace=True, random_state=0, ignore_index=True)
    factor = np.random.default_rng(0).normal(1, 0.02, size)
    changed = {side: (drawn[side] * factor).round(2) for side in ("x", "y", "z")}
    prices = (drawn["price"] * factor**5).round()
    return drawn.assign(carat=(drawn["carat"] * factor**3).round(3), price=prices, **changed)


def median_pricer(stones: pd.DataFrame) -> Pricer:
    """The floor of the models, fitted to these stones; its band is of no use."""
    module = models.get("median")
    band = ConformalBand(0.9, {"any": (0.5, 2.0)})
    return Pricer(
        name="median",
        estimator=module.build(module.Params()).fit(stones[list(FEATURES)], stones["price"]),
        band=band,
        guessed_band=band,
        proportions=Proportions.of(stones),
        summary=TrainingSummary.of(stones, {}, "perturbed"),
        stones=SortedStones.of(stones),
    )
