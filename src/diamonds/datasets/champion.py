"""The champion, as the database names it and the disk holds it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset
from sqlalchemy import Engine

from diamonds.config import read_settings
from diamonds.errors import ArtefactError, NoSuchModelError
from diamonds.pricer import Pricer, load
from diamonds.store import history
from diamonds.store.database import open_database, require_current


@dataclass(frozen=True)
class CurrentChampion:
    """The present champion: its entry, where its files lie, and the pricer, or why that cannot be loaded."""

    entry: history.Champion
    folder: Path
    pricer: Pricer | None
    problem: str | None


def promote_by_hand(engine: Engine, root: Path, name: str, version: str, reason: str) -> CurrentChampion:
    """Make a model of an earlier run the champion, as a new entry.

    Args:
        engine: The database.
        root: The folder that relative places of saved pricers start from.
        name: The model's name.
        version: The run that trained it.
        reason: Why, in one sentence.

    Raises:
        NoSuchModelError: No run trained this model, or it is champion already.
        ArtefactError: Its files cannot be loaded; nothing was changed.
        PromotionConflictError: Another promotion came in between.
    """
    present = history.champion(engine)
    model = history.trained_model(engine, name, version)
    if model is None or model["artefact"] is None:
        raise NoSuchModelError(f"no run {version} trained a model {name}: see `diamonds history`")
    if present is not None and (present.name, present.version) == (name, version):
        raise NoSuchModelError(f"{name} {version} is champion already")
    load(root / model["artefact"])
    history.promote(engine, name, version, reason, previous_id=present.promotion_id if present else 0)
    promoted = ChampionDataset(path=str(root)).load()
    if promoted is None:
        raise NoSuchModelError(f"{name} {version} was promoted and is gone again: see `diamonds history`")
    return promoted


class ChampionDataset(AbstractDataset[dict[str, Any], CurrentChampion | None]):
    """Loads the present champion, None before the first; saving a decision to promote makes a new one."""

    def __init__(self, *, path: str, metadata: dict[str, Any] | None = None) -> None:
        """Name the folder that relative places of saved pricers start from."""
        self.metadata = metadata
        self._root = Path(path)

    def load(self) -> CurrentChampion | None:
        """Ask the database for the champion and load its pricer."""
        engine = open_database(read_settings())
        require_current(engine)
        entry = history.champion(engine)
        if entry is None:
            return None
        folder = self._root / entry.artefact
        try:
            return CurrentChampion(entry, folder, load(folder), None)
        except ArtefactError as error:
            return CurrentChampion(entry, folder, None, str(error))

    def save(self, data: dict[str, Any]) -> None:
        """Enter the promotion, if the decision is to promote.

        Raises:
            PromotionConflictError: The champion is no longer the one that the challenger was judged against.
        """
        if data["promote"]:
            engine = open_database(read_settings())
            history.promote(
                engine,
                data["model"],
                data["version"],
                data["reason"],
                previous_id=data["previous_id"],
            )

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._root)}
