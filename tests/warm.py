"""Runs the project's commands in processes forked from one that has imported the libraries they need.

A command spends most of its time importing; a fork of a process that has done so saves it, and is otherwise a process
of its own: arguments, environment, working directory, output and exit status. Nothing of `diamonds` is imported before
the fork, so each command runs the code of its own project folder. Run as a script, this is the process that is forked.
"""

import contextlib
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
LONGEST_SECONDS = 300
LIBRARIES = (
    "alembic.command", "kedro.framework.cli.cli", "kedro.framework.session", "kedro.runner", "kedro_datasets.json",
    "kedro_datasets.pandas", "kedro_datasets.plotly", "kedro_viz.integrations.kedro.hooks", "optuna", "pandera.pandas",
    "plotly.graph_objects", "psycopg", "pydantic_settings", "rich.progress", "rich.table", "skops.io", "sklearn.compose",
    "sklearn.dummy", "sklearn.ensemble", "sklearn.linear_model", "sklearn.model_selection", "sklearn.pipeline",
    "sklearn.preprocessing", "sqlalchemy.orm", "xgboost",
)  # fmt: skip


class WarmProcess:
    """The process that is forked, and how to ask it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(
        self, words: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment in the folder and wait for it."""
        with tempfile.TemporaryDirectory() as outputs:
            asked = {"words": words, "folder": str(folder), "environment": dict(environment), "outputs": outputs}
            assert self._process.stdin
            assert self._process.stdout
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
            status = int(self._process.stdout.readline())
            out, err = (Path(outputs, name).read_text() for name in ("out", "err"))
        return subprocess.CompletedProcess(list(words), status, out, err)

    def stop(self) -> None:
        """End it: it ends where nobody asks any more."""
        self._process.communicate()


def _serve() -> None:
    """Fork for each line that is asked, and answer with the exit status."""
    for library in LIBRARIES:
        importlib.import_module(library)
    asked_by, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for line in asked_by:
        child = os.fork()
        if not child:
            os._exit(_run(json.loads(line)))
        answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        answers.flush()


def _run(asked: dict) -> int:
    for name, descriptor in (("out", 1), ("err", 2)):
        os.dup2(os.open(f"{asked['outputs']}/{name}", os.O_WRONLY | os.O_CREAT), descriptor)
    signal.alarm(LONGEST_SECONDS)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    program = Path(sys.executable).with_name(asked["words"][0])
    sys.path[:1] = [*os.environ["PYTHONPATH"].split(os.pathsep)]
    sys.argv = [str(program), *asked["words"][1:]]
    status = 0
    try:
        runpy.run_path(str(program), run_name="__main__")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:  # noqa: BLE001 - as the interpreter itself would
        sys.excepthook(*sys.exc_info())
        status = 1
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    return status


if __name__ == "__main__":
    _serve()
