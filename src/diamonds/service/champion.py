"""The champion that a worker answers with, taken from the model store and taken over whenever that names another."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from diamonds.errors import ArtefactError
from diamonds.memory import give_back
from diamonds.pricer import Pricer, load
from diamonds.similar import SimilarStones

logger = logging.getLogger(__name__)

LATEST = "latest"
#: How often the store is looked at, and after how long an entry that was refused is tried again.
LOOK_SECONDS, AGAIN_SECONDS = 0.05, 5.0


@dataclass(frozen=True)
class LoadedChampion:
    """A pricer, ready to answer.

    Attributes:
        pricer: The model.
        similar: The index of the stones that it has learned from.
        folder: Its entry in the model store.
    """

    pricer: Pricer
    similar: SimilarStones
    folder: Path

    @classmethod
    def of(cls, folder: Path) -> LoadedChampion:
        """Load an entry of the model store and let it answer once.

        Raises:
            ArtefactError: It is damaged, incomplete or foreign, or cannot price a stone that it has learned from.
        """
        pricer = load(folder)
        try:
            champion = cls(pricer, SimilarStones(pricer.stones), folder)
            champion.rehearse()
        except Exception as error:
            raise ArtefactError(f"{folder} cannot answer: {type(error).__name__}: {error}") from error
        return champion

    def rehearse(self) -> None:
        """Price and explain one of its own stones: what is prepared at first use is ready when it serves.

        Raises:
            ArtefactError: The price is none.
        """
        stone = self.pricer.stones.head(1)
        quoted = self.pricer.quote({str(name): value for name, value in stone.iloc[0].items()})
        if not all(map(math.isfinite, quoted)):
            raise ArtefactError(f"it prices a stone that it has learned from at {quoted.price}")
        self.pricer.explain(stone)


class Champions:
    """The champion as the model store names it; a refused entry leaves the one before it in place.

    Attributes:
        present: The champion; None until one could be loaded.
        problem: Why what the store names does not serve, in plain words; None if it does.
        refused: Whether the store names an entry that cannot be used.
    """

    def __init__(self, store: Path, told: Callable[[Champions], None]) -> None:
        """Name the folder of the champion's entries; `told` is called after each change."""
        self.present: LoadedChampion | None = None
        self.problem: str | None = f"there is no champion in {store} yet: train one with `kedro run`"
        self.refused = False
        self._store = store
        self._told = told
        self._seen: str | None = None

    def take(self) -> None:
        """Load what the store names now, if that was not tried already.

        Where nothing serves yet and that entry is refused, the newest that can be loaded steps in.
        """
        latest = self._latest()
        if latest is None or latest == self._seen:
            return
        self._seen = latest
        self._try(latest)
        for name in self._earlier(latest):
            if self.present is not None:
                break
            self._step_in(name)
        give_back()
        self._told(self)

    async def follow(self) -> None:
        """Take over whatever the store names from now on, without keeping requests waiting."""
        waited = 0.0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            waited += LOOK_SECONDS
            if self.refused and waited >= AGAIN_SECONDS:
                self._seen, waited = None, 0.0
            if self._latest() not in {None, self._seen}:
                try:
                    await asyncio.to_thread(self.take)
                except Exception:
                    logger.exception("the champion of the model store could not be taken")

    def _try(self, name: str) -> None:
        try:
            self.present = LoadedChampion.of(self._store / name)
        except ArtefactError as error:
            problem = f"the champion {name} was refused: {error}"
            if problem != self.problem:
                logger.error(problem)
            self.problem, self.refused = problem, True
        else:
            self.problem, self.refused = None, False
            logger.info("%s %s serves", self.present.pricer.name, self.present.pricer.version)

    def _step_in(self, name: str) -> None:
        try:
            self.present = LoadedChampion.of(self._store / name)
        except ArtefactError as error:
            logger.error("nor can %s step in: %s", name, error)
        else:
            logger.error("%s, which was champion before, serves in its place", name)

    def _earlier(self, latest: str) -> Iterator[str]:
        """The other entries, the latest promotion first: an entry's name ends in its number."""
        names = [path.name for path in self._store.iterdir() if path.is_dir() and path.name[0] != "."]
        numbers = {name: int(name.rpartition("-")[2]) for name in names if name.rpartition("-")[2].isdigit()}
        return iter(sorted(numbers.keys() - {latest}, key=lambda name: -numbers[name]))

    def _latest(self) -> str | None:
        try:
            return (self._store / LATEST).read_text(errors="replace").strip() or None
        except OSError:
            return None
