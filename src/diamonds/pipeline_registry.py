"""Finds the pipelines: one a stage, and all of them as the default."""

import importlib
import pkgutil

from kedro.pipeline import Pipeline

from diamonds import pipelines


def register_pipelines() -> dict[str, Pipeline]:
    """The stages by name, and `__default__`, which is `kedro run`."""
    names = [stage.name for stage in pkgutil.iter_modules(pipelines.__path__)]
    stages: dict[str, Pipeline] = {
        name: importlib.import_module(f"{pipelines.__name__}.{name}").create_pipeline() for name in names
    }
    return {"__default__": sum(stages.values(), Pipeline([]))} | stages
