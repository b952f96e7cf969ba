"""The history of training, as the database remembers it."""

from __future__ import annotations

from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

from diamonds.config import read_settings
from diamonds.store import history
from diamonds.store.database import open_database, require_current


class HistoryDataset(AbstractDataset[NoReturn, list[dict[str, Any]]]):
    """All runs with their models and metrics, the newest first."""

    def __init__(self, *, metadata: dict[str, Any] | None = None) -> None:
        """Take nothing: the environment says where the database is; `metadata` is for Kedro's plugins."""
        self.metadata = metadata

    def load(self) -> list[dict[str, Any]]:
        """Ask the database for the runs."""
        engine = open_database(read_settings())
        try:
            require_current(engine)
            return history.runs(engine)
        finally:
            engine.dispose()

    def save(self, data: NoReturn) -> None:  # noqa: ARG002 - Kedro's signature
        """Refuse: runs enter themselves."""
        raise DatasetError("the history is only read")

    def _describe(self) -> dict[str, Any]:
        return {}
