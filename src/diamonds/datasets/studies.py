"""The searches for parameters, as the database keeps them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

from diamonds.config import read_settings
from diamonds.store.studies import open_studies

if TYPE_CHECKING:
    from optuna.storages import RDBStorage


class StudiesDataset(AbstractDataset[NoReturn, "Callable[[], RDBStorage]"]):
    """Optuna's storage: a search reads and writes its own trials there, one by one."""

    def __init__(self, *, metadata: dict[str, Any] | None = None) -> None:
        """Need nothing: the environment says where the database is."""
        self.metadata = metadata

    def load(self) -> Callable[[], RDBStorage]:
        """What opens the storage, inside the step that needs it: where it fails, that model fails and no other."""
        return partial(open_studies, read_settings())

    def save(self, data: NoReturn) -> None:  # noqa: ARG002 - Kedro's signature
        """Refuse: a search writes its trials itself."""
        raise DatasetError("the studies are written by the searches, trial by trial")

    def _describe(self) -> dict[str, Any]:
        return {}
