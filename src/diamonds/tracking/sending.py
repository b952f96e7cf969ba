"""The process that sends entries to MLflow: `python -m diamonds.tracking.sending`, with their JSON on stdin.

On its own because MLflow may wait for minutes, prints, warns, and reads how to behave from the environment.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from diamonds.tracking.entries import Entry

#: What MLflow takes at once.
MOST_PARAMETERS, MOST_METRICS = 100, 1000


def send(entries: list[Entry]) -> None:
    """Write a run, then its models below it; the run is closed last, when all is there.

    Raises:
        MlflowException: The tracking store cannot be reached, or refuses.
    """
    import mlflow

    experiment = mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME") or "diamonds")
    client = mlflow.MlflowClient()
    run, *models = entries
    run_id = _open(client, experiment.experiment_id, run, {})
    for model in models:
        _close(client, _open(client, experiment.experiment_id, model, {"mlflow.parentRunId": run_id}), model)
    _close(client, run_id, run)


def _open(client: MlflowClient, experiment_id: str, entry: Entry, parent: dict[str, str]) -> str:
    """Begin a run of MLflow, with all that the entry says.

    Returns:
        The id that MLflow gave it.
    """
    from mlflow.entities import Metric, Param

    tags = entry["tags"] | parent
    run_id = str(client.create_run(experiment_id, entry["started"], tags, entry["name"]).info.run_id)
    for some in _batches([Param(*item) for item in entry["parameters"].items()], MOST_PARAMETERS):
        client.log_batch(run_id, params=some)
    metrics = [Metric(key, value, entry["finished"], 0) for key, value in entry["metrics"].items()]
    for some in _batches(metrics, MOST_METRICS):
        client.log_batch(run_id, metrics=some)
    return run_id


def _close(client: MlflowClient, run_id: str, entry: Entry) -> None:
    client.set_terminated(run_id, entry["status"], entry["finished"])


def _batches(items: list[Any], most: int) -> list[list[Any]]:
    return [items[start : start + most] for start in range(0, len(items), most)]


def main() -> None:
    """Send what stdin holds; what goes wrong is the last line on stderr."""
    try:
        send(json.load(sys.stdin))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is handed to the run, which goes on
        sys.exit(" ".join(str(error).split()))


if __name__ == "__main__":
    main()
