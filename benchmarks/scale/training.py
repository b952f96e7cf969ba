"""What a `kedro run` takes of time and memory as stones grow: in memory, from external memory, and on Dask."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil

from diamonds.config import Settings
from diamonds.schema import GRADES
from diamonds.store import history
from diamonds.store.database import open_database

ROOT = Path(__file__).parents[2]
STONES = ROOT / "data/01_raw/appraisals/diamonds.csv"
SIZES = (54_000, 540_000, 5_400_000)
#: The engines, by their environments; `local` is `kedro run` as it is.
ENGINES = {"in memory": "local", "external memory": "external_memory", "Dask, 2 workers": "dask"}
IN_MEMORY, *OTHERS = ENGINES
#: Stones are perturbed copies of those that come with the project, each number by about so much.
SPREAD = 0.02
DECIMALS = {"carat": 4, "depth": 1, "table": 1, "price": 0, "x": 2, "y": 2, "z": 2}
CHUNK = 500_000
#: The same for all: one trial, few folds and fewer trees than by default, so that the largest ends within the hour.
PARAMETERS = """tuning: {trials: 1, timeout: 60, folds: 2, seed: 42, pruner: median}
calibration: {confidence: 0.9, folds: 2, seed: 42}
"""
FEWER = {
    "n_estimators: 600": "n_estimators: 40",
    "learning_rate: 0.05": "learning_rate: 0.1",
    "hist_gradient_boosting: {}": "hist_gradient_boosting: {max_iter: 30, learning_rate: 0.2}",
}
#: The bars.
ERROR_WITHIN, LINEAR_WITHIN, QUARTER = 0.01, 1e-9, 0.25
EVERY_SECONDS = 0.1


@dataclass
class Memory:
    """The peaks of a process and those that it started, in bytes.

    Attributes:
        process: The most that any one had resident, files that are mapped included.
        anonymous: The most that any one had to itself.
        together: The most that all had resident at one moment; what they share counts for each.
    """

    process: int = 0
    anonymous: int = 0
    together: int = 0


@dataclass
class Run:
    """One `kedro run`."""

    stones: int
    engine: str
    seconds: float
    memory: Memory
    mae: dict[str, float]
    champion: str
    coefficients: list[float]
    report: dict[str, Any] = field(default_factory=dict)
    nodes: dict[str, float] = field(default_factory=dict)


def main() -> None:
    """Run all sizes with all engines, and print the table and the bars; fails where a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stones", type=int, nargs="+", default=SIZES, metavar="N", help="how many, one size or more")
    parser.add_argument("--engines", nargs="+", default=list(ENGINES.values()), choices=list(ENGINES.values()))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as JSON too")
    given = parser.parse_args()
    found = measure(given.stones, given.engines)
    print("\n".join(lines(found)))
    document = json.dumps([asdict(run) for run in found])
    if given.json is not None:
        given.json.write_text(f"{document}\n")
    if problems := broken(found):
        sys.exit("\n".join(problems))


def measure(sizes: list[int], engines: list[str]) -> list[Run]:
    """Each run, in a project of its own; those of one size have the same stones."""
    runs = []
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="stones-") as folder:
            raw = Path(folder) / "stones.csv"
            write_stones(raw, size)
            for engine, environment in ENGINES.items():
                if environment in engines:
                    runs.append(_run(size, engine, environment, raw))
                    print(*table(runs[-1:]), sep="\n", flush=True)
    return runs


def write_stones(place: Path, size: int) -> None:
    """So many stones as a CSV file: those that come with the project, and perturbed copies of them."""
    stones = pd.read_csv(STONES)
    stones.head(size).to_csv(place, index=False)
    rng = np.random.default_rng(0)
    for first in range(len(stones), size, CHUNK):
        more = _perturbed(stones, min(CHUNK, size - first), rng)
        more.to_csv(place, index=False, mode="a", header=False)


def _perturbed(stones: pd.DataFrame, size: int, rng: np.random.Generator) -> pd.DataFrame:
    more = stones.iloc[rng.integers(len(stones), size=size)].reset_index(drop=True)
    for column, decimals in DECIMALS.items():
        more[column] = (more[column] * (1 + rng.normal(0, SPREAD, size))).round(decimals)
    return more


def _run(stones: int, engine: str, environment: str, raw: Path) -> Run:
    with tempfile.TemporaryDirectory(prefix="project-") as folder:
        project = Path(folder)
        variables = _make_project(project, environment, raw)
        kedro = Path(sys.executable).with_name("kedro")
        began = time.perf_counter()
        with (project / "log").open("w") as log:
            started = subprocess.Popen(
                [kedro, "run", f"--env={environment}"], cwd=project, env=variables, stdout=log, stderr=log
            )
            with watched(started.pid) as memory:
                code = started.wait()
        seconds = time.perf_counter() - began
        if code:
            sys.exit(f"{engine}, {stones:,} stones: kedro run failed\n{(project / 'log').read_text()[-3000:]}")
        return _found(project, Run(stones, engine, seconds, memory, {}, "", []))


def _make_project(project: Path, environment: str, raw: Path) -> dict[str, str]:
    """A copy of the project with these stones, and the variables that keep its run to itself."""
    shutil.copytree(ROOT / "conf", project / "conf")
    (project / f"conf/{environment}/parameters.yml").write_text(PARAMETERS)
    entries = project / "conf/base/parameters_models.yml"
    text = entries.read_text()
    for usual, fewer in FEWER.items():
        assert usual in text
        text = text.replace(usual, fewer)
    entries.write_text(text)
    (project / "src").mkdir()
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, project)
    (project / "data/01_raw/appraisals").mkdir(parents=True)
    os.link(raw, project / "data/01_raw/appraisals/stones.csv")
    foreign = ("DIAMONDS_", "MLFLOW_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {
        "BENTOML_HOME": f"{project}/bentoml",
        "DIAMONDS_DATABASE_URL": f"sqlite:///{project}/data/diamonds.db",
    }


def _found(project: Path, run: Run) -> Run:
    engine = open_database(Settings(database_url=f"sqlite:///{project}/data/diamonds.db"))
    try:
        (entry,) = history.runs(engine, limit=1)
    finally:
        engine.dispose()
    run.mae = {model["name"]: model["metrics"]["overall"]["mae"] for model in entry["models"]}
    run.nodes = dict(entry["durations"])
    run.champion = entry["decision"]
    (report,) = project.glob("data/03_primary/data_report.json/*/data_report.json")
    run.report = json.loads(report.read_text())
    (linear,) = project.glob("data/06_models/linear_pricer/*/*/estimator.json")
    fitted = json.loads(linear.read_text())
    run.coefficients = [fitted["intercept"], *fitted["coefficients"].values()]
    return run


@contextmanager
def watched(pid: int) -> Iterator[Memory]:
    """Look at the memory of a process and of its children until it ends."""
    memory, ended = Memory(), threading.Event()
    thread = threading.Thread(target=_watch, args=(psutil.Process(pid), memory, ended), daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        ended.set()
        thread.join()


def _watch(process: psutil.Process, memory: Memory, ended: threading.Event) -> None:
    while not ended.wait(EVERY_SECONDS):
        try:
            family = [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        found = [_status(each.pid) for each in family]
        memory.process = max(memory.process, *(each.get("VmHWM", 0) for each in found))
        memory.anonymous = max(memory.anonymous, *(each.get("RssAnon", 0) for each in found))
        memory.together = max(memory.together, sum(each.get("VmRSS", 0) for each in found))


def _status(pid: int) -> dict[str, int]:
    """What Linux says of a process, in bytes; nothing of one that is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    rows = (line.split() for line in text.splitlines() if line.endswith(" kB"))
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows}


def lines(runs: list[Run]) -> list[str]:
    """The table, and below it the bars."""
    return [*table(runs), "", *_errors(runs), *_coefficients(runs), *_growth(runs)]


def table(runs: list[Run]) -> list[str]:
    """A row a run."""
    head = ("stones", "engine", "seconds", "one process", "its own", "together", "xgboost", "histograms", "linear")
    rows = ["{:>11} {:<16}{:>9}{:>13}{:>11}{:>11}{:>10}{:>12}{:>10}".format(*head)]
    for run in runs:
        memory = (run.memory.process, run.memory.anonymous, run.memory.together)
        mib = [f"{value / 2**20:,.0f} MiB" for value in memory]
        maes = [f"${run.mae[name]:,.2f}" for name in ("xgboost", "hist_gradient_boosting", "linear")]
        row = (f"{run.stones:,}", run.engine, f"{run.seconds:,.0f}", *mib, *maes)
        rows.append("{:>11} {:<16}{:>9}{:>13}{:>11}{:>11}{:>10}{:>12}{:>10}".format(*row))
    return rows


def _beside(runs: list[Run]) -> Iterator[tuple[Run, Run]]:
    """Each run beside that in memory on the same stones."""
    in_memory = {run.stones: run for run in runs if run.engine == IN_MEMORY}
    return ((run, in_memory[run.stones]) for run in runs if run.engine in OTHERS and run.stones in in_memory)


def _error(run: Run, plain: Run, model: str) -> float:
    return run.mae[model] / plain.mae[model] - 1


def _difference(run: Run, plain: Run) -> float:
    """The greatest relative difference of a coefficient of the linear models."""
    ours, theirs = np.array(run.coefficients), np.array(plain.coefficients)
    return float((np.abs(ours - theirs) / np.abs(theirs)).max())


def _errors(runs: list[Run]) -> Iterator[str]:
    for run, plain in _beside(runs):
        found = [f"{model} {_error(run, plain, model):+.3%}" for model in sorted(plain.mae)]
        yield f"{run.stones:,} stones, {run.engine}: MAE beside in memory on the same holdout: {', '.join(found)}"


def _coefficients(runs: list[Run]) -> Iterator[str]:
    for run, plain in _beside(runs):
        yield f"{run.stones:,} stones, {run.engine}: linear coefficients within {_difference(run, plain):.1e}"


def _growth(runs: list[Run]) -> Iterator[str]:
    """How the peak of any one process grows from the least to the most stones, by both readings."""
    pairs = _least_and_most(runs)
    if IN_MEMORY not in pairs:
        return
    in_memory = _bytes_grown(*pairs[IN_MEMORY])
    for engine, (few, many) in pairs.items():
        frame = _bytes_a_stone() * (many.stones - few.stones)
        grown, alone = _bytes_grown(few, many), many.memory.anonymous - few.memory.anonymous
        yield (
            f"{engine}: stones x{many.stones / few.stones:,.0f}, peak of one process"
            f" x{many.memory.process / few.memory.process:.2f}, {_share_grown(few, many):.3f} of that growth;"
            f" in bytes it grows by {grown / 2**20:,.0f} MiB: {grown / frame:.2f} of the stones as a frame"
            f" ({frame / 2**20:,.0f} MiB), {grown / in_memory:.2f} of what it grows by in memory;"
            f" its own alone by {alone / 2**20:,.0f} MiB"
        )


def _least_and_most(runs: list[Run]) -> dict[str, tuple[Run, Run]]:
    """The runs of each engine with the least and the most stones, where these are not the same."""
    sizes = sorted({run.stones for run in runs})
    of = {(run.stones, run.engine): run for run in runs}
    ends = {engine: (of.get((sizes[0], engine)), of.get((sizes[-1], engine))) for engine in ENGINES}
    return {engine: (few, many) for engine, (few, many) in ends.items() if few and many and few is not many}


def _bytes_grown(few: Run, many: Run) -> int:
    return many.memory.process - few.memory.process


def _share_grown(few: Run, many: Run) -> float:
    """By how much of itself the peak grows, for each time that the stones grow by as many as they were."""
    return (many.memory.process / few.memory.process - 1) / (many.stones / few.stones - 1)


def _bytes_a_stone() -> float:
    """What a stone takes as a row of a frame in memory."""
    stones = pd.read_csv(STONES, dtype=dict.fromkeys(GRADES, "str")).astype({"price": float})
    return float(stones.memory_usage(deep=True, index=False).sum()) / len(stones)


def broken(runs: list[Run]) -> list[str]:
    """The promises that these runs do not keep, in words."""
    found = []
    for run, plain in _beside(runs):
        where = f"{run.stones:,} stones, {run.engine}"
        if run.report != plain.report:
            found.append(f"{where}: what became of the data differs from in memory")
        if abs(_error(run, plain, "xgboost")) > ERROR_WITHIN:
            found.append(f"{where}: the error of xgboost differs by {_error(run, plain, 'xgboost'):+.2%}")
        if _difference(run, plain) > LINEAR_WITHIN:
            found.append(f"{where}: coefficients differ by {_difference(run, plain):.1e}")
    for engine, ends in _least_and_most(runs).items():
        if engine in OTHERS and (share := _share_grown(*ends)) > QUARTER:
            found.append(f"{engine}: the peak of one process grows by {share:.2f} of what the stones grow by")
    return found


if __name__ == "__main__":
    main()
