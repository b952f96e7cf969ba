"""The Bento model store, where the service finds the champion."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from diamonds.datasets.champion import CurrentChampion
from diamonds.pricer import load
from diamonds.store import history


class BentoModelDataset(AbstractDataset[CurrentChampion, str]):
    """The entry of the Bento model store that serves; saving the champion adds one, unless it serves already.

    An entry is written aside, loaded once to check its hashes, and renamed into the store; only then does `latest`
    name it.
    """

    def __init__(self, *, name: str, metadata: dict[str, Any] | None = None) -> None:
        """Name the model in the store."""
        self.metadata = metadata
        self._name = name

    def load(self) -> str:
        """The tag that serves."""
        latest = self._latest()
        if latest is None:
            raise DatasetError(f"the Bento model store has no {self._name}")
        return f"{self._name}:{latest}"

    def save(self, data: CurrentChampion) -> None:
        """Make the store's latest entry the champion."""
        version = _version(data.entry)
        if self._latest() != version:
            if not (self._folder() / version).exists():
                self._add(version, data)
            self._point_to(version)

    def serves(self, champion: CurrentChampion) -> bool:
        """Whether the store's latest entry is this champion, and is there."""
        version = _version(champion.entry)
        return self._latest() == version and (self._folder() / version).is_dir()

    def _add(self, version: str, champion: CurrentChampion) -> None:
        store = self._folder()
        store.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".diamonds-", dir=_bentoml_home()) as aside:
            written = Path(aside) / version
            model = _bento_model(f"{self._name}:{version}", champion.entry)
            shutil.copytree(model.path, written)
            shutil.copytree(champion.folder, written, dirs_exist_ok=True)
            load(written)
            written.rename(store / version)

    def _point_to(self, version: str) -> None:
        aside = self._folder() / f".latest-{uuid.uuid4().hex}"
        aside.write_text(version)
        aside.replace(self._folder() / "latest")

    def _latest(self) -> str | None:
        try:
            return (self._folder() / "latest").read_text().strip()
        except FileNotFoundError:
            return None

    def _folder(self) -> Path:
        return _bentoml_home() / "models" / self._name

    def _describe(self) -> dict[str, Any]:
        return {"name": self._name}


def _version(entry: history.Champion) -> str:
    return f"{entry.name}-{entry.version}-{entry.promotion_id}".casefold()


def _bentoml_home() -> Path:
    return Path(os.environ.get("BENTOML_HOME") or Path.home() / "bentoml")


def _bento_model(tag: str, entry: history.Champion) -> Any:  # noqa: ANN401 - BentoML ships no types
    """An empty Bento model with this tag; its folder goes when it does.

    `bentoml.models.create` would write it where readers may meet it half done, and report it to its makers.
    """
    from bentoml._internal.models import Model
    from bentoml._internal.models.model import ModelContext

    model = Model.create(
        tag,
        module="",
        api_version="v1",
        signatures={},
        labels={"model": entry.name, "version": entry.version},
        metadata={
            "promoted_at": entry.promoted_at.isoformat(),
            "trained_at": entry.trained_at.isoformat(),
            "reason": entry.reason,
            "metrics": entry.metrics,
        },
        context=ModelContext(framework_name="diamonds", framework_versions={}),
    )
    model.flush()  # type: ignore[no-untyped-call]
    return model
