"""Saved pricers, a folder for each version."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from kedro.io import AbstractVersionedDataset, Version

from diamonds.pricer import Pricer, load, save


class PricerDataset(AbstractVersionedDataset[Pricer, Pricer]):
    """A pricer on disk; its version is the run that saved it, and it appears whole or not at all."""

    def __init__(
        self,
        *,
        filepath: str,
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Name the folder that holds the versions; `metadata` is for Kedro's plugins."""
        super().__init__(PurePosixPath(filepath), version)
        self.metadata = metadata

    def load(self) -> Pricer:
        """Load the version asked for, its hashes checked."""
        return load(Path(self._get_load_path()))

    def save(self, data: Pricer) -> None:
        """Save under the run's version."""
        save(data, Path(self._get_save_path()), version=self.resolve_save_version() or "unversioned")

    def folder(self) -> Path:
        """Where this run's version lies."""
        return Path(self._get_versioned_path(self.resolve_save_version() or "unversioned"))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "version": self._version}
