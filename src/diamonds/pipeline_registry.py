"""Finds the pipelines: one a stage, and all that train and serve as the default."""

import importlib
import pkgutil

from kedro.pipeline import Pipeline

from diamonds import pipelines


def register_pipelines() -> dict[str, Pipeline]:
    """The stages by name, and `__default__`, which is `kedro run`: all but those that stand apart."""
    names = [stage.name for stage in pkgutil.iter_modules(pipelines.__path__)]
    stages: dict[str, Pipeline] = {
        name: importlib.import_module(f"{pipelines.__name__}.{name}").create_pipeline() for name in names
    }
    default = [stage for name, stage in stages.items() if name not in pipelines.APART]
    return {"__default__": sum(default, Pipeline([]))} | stages
