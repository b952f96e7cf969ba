"""The Kedro hooks that enter each run, and each model of it, in the history."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import AbstractVersionedDataset, DataCatalog, MemoryDataset, Version
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from sqlalchemy import Engine

from diamonds import models
from diamonds.attempts import Failure
from diamonds.config import read_settings
from diamonds.datasets import PricerDataset
from diamonds.datasets.whole import write_whole
from diamonds.errors import ConfigurationError, ModelError
from diamonds.pipelines import stands_apart
from diamonds.pricer import Pricer
from diamonds.store import history
from diamonds.store.database import open_database, require_current
from diamonds.store.revision import code_hash, code_version

logger = logging.getLogger(__name__)

METRICS = ("stones", "overall", "four_cs", "segments")
SELECTION = (
    "pipeline_names",
    "namespaces",
    "tags",
    "node_names",
    "from_nodes",
    "to_nodes",
    "load_versions",
    "env",
)


class TrainingHistory:
    """Keeps the history: a row for each run, whatever becomes of it, and for each model it trains.

    A run that only learns from a feed, or only watches the champion, trains nothing, and has no row. Nor has one whose
    parameters do not hold: Kedro itself refuses to begin it.
    """

    def __init__(self) -> None:
        """Open nothing yet: hooks are made on import."""
        self._engine: Engine | None = None
        self._run_id = ""
        self._project = Path()
        self._catalog: DataCatalog | None = None
        self._failed: dict[str, str] = {}
        self._models: set[str] = set()
        self._began: dict[str, float] = {}
        self._durations: dict[str, float] = {}

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember where the project lies."""
        self._project = Path(context.project_path)

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Enter the run before anything is done; without a database nothing is."""
        parameters = catalog.load("parameters")
        for dataset in _versioned_outputs(pipeline, catalog):
            write_whole(dataset)
        if stands_apart(pipeline):
            _check_model_entries(parameters)
            _read_what_is_written(pipeline, catalog, run_params["run_id"])
            return
        engine = open_database(read_settings())
        require_current(engine)
        self._engine, self._catalog, self._run_id = engine, catalog, run_params["run_id"]
        self._failed = {}
        self._models = {node.namespace for node in pipeline.nodes if node.namespace in models.available()}
        self._began, self._durations = {}, {}
        selection = {key: run_params[key] for key in SELECTION if run_params.get(key)}
        history.start_run(engine, self._run_id, selection, plain_parameters(parameters), code_version(self._project))
        history.update_run(engine, self._run_id, code_hash=code_hash())
        try:
            _check_model_entries(parameters)
        except ConfigurationError as error:
            self._finish(history.FAILED, str(error))
            raise
        _read_what_is_written(pipeline, catalog, self._run_id)

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Remember when the node began: its inputs are loaded by now."""
        self._began[node.name] = time.perf_counter()

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """Keep how long the node took."""
        self._durations[node.name] = round(time.perf_counter() - self._began[node.name], 3)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any, node: Node) -> None:  # noqa: ANN401 - Kedro's hook
        """Enter what the run found out: its data, its models, their metrics, its decision."""
        if self._engine is None or isinstance(data, Failure):
            return
        if dataset_name == "data_report":
            history.update_run(self._engine, self._run_id, **data)
            self._say_what_came_in(data)
        elif dataset_name == "decision":
            history.update_run(self._engine, self._run_id, decision=data["reason"], gain=_finite(data["gain"]))
            logger.info("%s: %s", "The challenger wins" if data["promote"] else "The champion stays", data["reason"])
        elif dataset_name == "promotion" and data["promote"]:
            logger.info("Promoted: %s %s is champion", data["model"], data["version"])
        elif isinstance(data, Pricer):
            self._record(data.name, parameters=data.summary.params, artefact=self._place_of(dataset_name))
        elif dataset_name == f"{node.namespace}_metrics" and data["version"] == self._run_id:
            self._record(data["model"], metrics={key: data[key] for key in METRICS}, holdout=data["holdout"])

    @hook_impl
    def before_dataset_saved(self, dataset_name: str, data: Any) -> None:  # noqa: ANN401 - Kedro's hook
        """Enter a model that failed; its failure is handed on in memory, nothing is written in its result's place."""
        if isinstance(data, Failure) and self._catalog is not None:
            self._catalog[dataset_name] = MemoryDataset()
            if data.model not in self._failed:
                self._failed[data.model] = data.error
                self._record(data.model, error=data.error)

    @hook_impl
    def on_node_error(self, error: Exception, node: Node) -> None:
        """Enter a model that failed, with its error, and keep how long that took."""
        self.after_node_run(node)
        if self._engine is not None and node.namespace in models.available():
            self._record(node.namespace, error=str(error).strip())

    @hook_impl(wrapper=True)
    def after_pipeline_run(self) -> Generator[None, Any, Any]:
        """Close the run's row, let the other hooks have it, and only then fail the run where a model failed.

        Raises:
            ModelError: A model failed, while the others went on.
        """
        failed = "; ".join(f"{model} failed: {error}" for model, error in self._failed.items())
        self._finish(history.FAILED if failed else history.SUCCEEDED, failed or None)
        result = yield
        if failed:
            raise ModelError(f"{failed}. The other models went on." if self._models - set(self._failed) else failed)
        return result

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Close the run's row, with its error."""
        self._finish(history.FAILED, str(error).strip())

    def _record(self, name: str, **values: Any) -> None:  # noqa: ANN401 - columns of trained_model
        if self._engine is not None:
            history.record_model(self._engine, self._run_id, name, **values)

    def _finish(self, outcome: str, error: str | None = None) -> None:
        if self._engine is not None:
            history.finish_run(self._engine, self._run_id, outcome, error, self._durations)
            self._engine.dispose()
            self._engine = None

    def _say_what_came_in(self, report: dict[str, Any]) -> None:
        counts = ("rows_in", "quarantined", "duplicates", "training_rows", "holdout_rows")
        rows, refused, duplicates, training, holdout = (f"{report[name]:,}" for name in counts)
        files = f"{len(report['files'])} CSV file{'' if len(report['files']) == 1 else 's'}"
        logger.info(
            "Read %s rows from %s: %s quarantined, %s duplicates; %s stones to train on, %s held out",
            *(rows, files, refused, duplicates, training, holdout),
        )
        quarantine = self._catalog.get("quarantine") if self._catalog else None
        if report["quarantined"] and isinstance(quarantine, AbstractVersionedDataset):
            place = Path(quarantine._get_load_path())
            logger.info("The rows that were refused, with file, line and reason: %s", self._within_project(place))

    def _place_of(self, dataset_name: str) -> str | None:
        """Where the run saved a pricer: relative to the project, where it lies inside."""
        dataset = self._catalog.get(dataset_name) if self._catalog else None
        return str(self._within_project(dataset.folder())) if isinstance(dataset, PricerDataset) else None

    def _within_project(self, place: Path) -> Path:
        return place.relative_to(self._project) if place.is_relative_to(self._project) else place


def _check_model_entries(parameters: dict[str, Any]) -> None:
    """Make sure that each model has an entry and each entry a model."""
    entries = set(parameters.get("models") or {})
    known = set(models.available())
    if unknown := sorted(entries - known):
        raise ConfigurationError(
            f"conf/base/parameters_models.yml names {', '.join(unknown)},"
            " but there is no such file in src/diamonds/models/: add it or delete the entry"
        )
    if missing := sorted(known - entries):
        raise ConfigurationError(
            f"conf/base/parameters_models.yml has no entry for {', '.join(missing)}: add one, `{missing[0]}: {{}}`"
            " takes the model's defaults"
        )


def _read_what_is_written(pipeline: Pipeline, catalog: DataCatalog, run_id: str) -> None:
    """Let the run read its own versions of all that it writes.

    Kedro would read the newest there is when a dataset is loaded: that of another run which began later.
    """
    for dataset in _versioned_outputs(pipeline, catalog):
        if dataset._version and not dataset._version.load:
            dataset._version = Version(load=run_id, save=run_id)


def _versioned_outputs(pipeline: Pipeline, catalog: DataCatalog) -> list[AbstractVersionedDataset[Any, Any]]:
    found = (catalog.get(name) for name in sorted(pipeline.all_outputs()))
    return [dataset for dataset in found if isinstance(dataset, AbstractVersionedDataset)]


def _finite(gain: dict[str, float] | None) -> dict[str, float | None] | None:
    """The gain as JSON can hold it: over a champion without any error, it is endless."""
    if gain is None:
        return None
    return {key: value if math.isfinite(value) else None for key, value in gain.items()}


def plain_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters as JSON can hold them; Kedro hands typed ones as pydantic models."""
    return {
        key: value.model_dump(mode="json")
        if hasattr(value, "model_dump")
        else plain_parameters(value)
        if isinstance(value, dict)
        else value
        for key, value in parameters.items()
    }
