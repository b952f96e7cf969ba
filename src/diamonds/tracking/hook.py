"""The Kedro hook that hands each finished run to MLflow, where `MLFLOW_TRACKING_URI` asks for it."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.pipeline import Pipeline

from diamonds.config import read_settings
from diamonds.pipelines import stands_apart
from diamonds.store import history
from diamonds.store.database import open_database
from diamonds.tracking.entries import entries_of

logger = logging.getLogger(__name__)

#: After this MLflow has had its chance.
PATIENCE_SECONDS = 30
#: Where the environment does not say otherwise: MLflow itself would retry for four minutes, and report to its makers.
DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
LONGEST_PROBLEM = 300


class MlflowTracking:
    """Copies the history's row of a run to MLflow once it is closed: this hook comes after `TrainingHistory`.

    MLflow is a guest: nothing that it does or fails to do changes a run.
    """

    @hook_impl(trylast=True)
    def after_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline) -> None:
        """Hand over a run that succeeded."""
        if not stands_apart(pipeline):  # those are no runs of the history
            track(run_params["run_id"])

    @hook_impl(trylast=True)
    def on_pipeline_error(self, run_params: dict[str, Any], pipeline: Pipeline) -> None:
        """Hand over a run that failed."""
        if not stands_apart(pipeline):
            track(run_params["run_id"])


def track(run_id: str) -> None:
    """Send a run of the history to MLflow, if it is asked for; what goes wrong is one warning."""
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        return
    if find_spec("mlflow") is None:
        logger.warning("MLFLOW_TRACKING_URI is set, but MLflow is not installed: pip install 'diamonds[mlflow]'")
        return
    if problem := _problem_of_sending(run_id):
        logger.warning("Run %s is in `diamonds history`, but not whole in MLflow: %s", run_id, _shown(problem))


def _problem_of_sending(run_id: str) -> str | None:
    try:
        _send(json.dumps(entries_of(_row(run_id))))
    except subprocess.TimeoutExpired:
        return f"it did not take it within {PATIENCE_SECONDS} seconds"
    except subprocess.CalledProcessError as error:
        return str(error.stderr).strip().rpartition("\n")[2]
    except Exception as error:  # noqa: BLE001 - a copy that cannot be made is no reason to fail a run
        return str(error)
    return None


def _send(entries: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "diamonds.tracking.sending"],
        input=entries, env=DEFAULTS | os.environ, timeout=PATIENCE_SECONDS, check=True, capture_output=True, text=True,
    )  # fmt: skip


def _row(run_id: str) -> dict[str, Any]:
    engine = open_database(read_settings())
    try:
        return history.run(engine, run_id)
    finally:
        engine.dispose()


def _shown(problem: str) -> str:
    """The problem at a length that can be read, without the name and password that an address may carry."""
    return re.sub(r"//[^/\s]*@", "//***@", problem)[:LONGEST_PROBLEM]
