"""The Kedro hook that says what a run works with, and sends its workers home."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog

from diamonds import blocks
from diamonds.memory import give_back

#: Where blocks lie while a run works on them, below the project.
SPACE = "data/02_intermediate"


class RunWorkers:
    """Hands the entry `engine` of a run's parameters to `diamonds.blocks`, and ends what that began."""

    def __init__(self) -> None:
        """Know no project yet: hooks are made on import."""
        self._project, self._in_blocks = Path(), False

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember where the project lies."""
        self._project = Path(context.project_path)

    @hook_impl
    def before_pipeline_run(self, catalog: DataCatalog) -> None:
        """Say what the run works with; nothing is started before it is needed."""
        entry: Any = catalog.load("parameters").get("engine") or {}
        engine = entry if isinstance(entry, blocks.Engine) else blocks.Engine.model_validate(entry)
        self._in_blocks = engine.kind != "memory"
        if self._in_blocks:
            blocks.begin(engine, self._project / SPACE)

    @hook_impl
    def after_node_run(self) -> None:
        """Keep no memory that the node no longer needs, where there may be little."""
        if self._in_blocks:
            give_back()

    @hook_impl
    def after_pipeline_run(self) -> None:
        """End it."""
        blocks.end()

    @hook_impl
    def on_pipeline_error(self) -> None:
        """End it."""
        blocks.end()
