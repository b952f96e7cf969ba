"""Stones of equal grades side by side, by weight: the order in which similar ones are found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from diamonds.schema import COLUMNS, GRADES
from diamonds.stones import npy

Array = NDArray[np.float64]
#: Cut, color and clarity.
Grades = tuple[str, str, str]

#: The numbers of a stone besides its weight, as they lie in a row.
NUMBERS = tuple(column for column in COLUMNS if column != "carat" and column not in GRADES)
#: What stones of equal grades are sorted by: the first first.
SORTED_BY = ("carat", "depth", "table", "x", "y", "z", "price")
#: All grades that a stone can have, in the order in which their stones lie: the worst first.
ALL_GRADES: tuple[Grades, ...] = tuple(product(*GRADES.values()))  # type: ignore[arg-type]  # GRADES has three
#: How many stones a block holds that is not asked for otherwise.
BLOCK = 100_000


@dataclass(frozen=True, eq=False)
class SortedStones:
    """Priced stones, 56 bytes each, sorted by cut, color and clarity (the worst first), then as `SORTED_BY` says.

    The arrays lie in memory, or in files that are mapped: then all processes of a machine share the pages that they
    read, and the machine takes them back where it needs memory.

    Attributes:
        carats: The weights, in carats (stones).
        numbers: Depth and table in %, price in dollars, x, y and z in mm, as `NUMBERS` has them (stones by 6).
        counts: How many stones have these grades, in the order in which they lie; grades of no stone are left out.
    """

    carats: Array
    numbers: Array
    counts: dict[Grades, int]

    @classmethod
    def of(cls, stones: pd.DataFrame) -> Self:
        """The stones of a frame with the columns `schema.COLUMNS`, in memory.

        Raises:
            ValueError: A stone has a grade that there is not.
        """
        codes = codes_of(stones)
        order = np.argsort(codes, kind="stable")
        carats, numbers = columns_of(stones)
        counts = np.bincount(codes, minlength=len(ALL_GRADES))
        for start, end in _spans(counts):
            rows = order[start:end]
            order[start:end] = rows[sorting(carats[rows], numbers[rows])]
        return cls(carats[order], numbers[order], counts_by_grades(counts))

    @classmethod
    def from_blocks(cls, blocks: Iterable[pd.DataFrame], folder: Path) -> Self:
        """The stones of many frames, mapped from two files that are made in this folder.

        In memory are one frame and the stones of one combination of grades at a time; on the disk, for a while, all
        stones twice. The files may be removed while the stones are used, and are never changed.

        Raises:
            ValueError: A stone has a grade that there is not.
        """
        from diamonds.stones.spilling import sort_in

        return cls(*sort_in(folder, blocks))

    def __len__(self) -> int:
        """How many there are."""
        return len(self.carats)

    @property
    def nbytes(self) -> int:
        """The bytes that they take."""
        return self.carats.nbytes + self.numbers.nbytes

    def spans(self) -> dict[Grades, tuple[int, int]]:
        """Where the stones of these grades lie: the first of them, and the end."""
        return dict(zip(self.counts, _spans(np.array([*self.counts.values()], dtype=np.int64)), strict=True))

    def frame(self) -> pd.DataFrame:
        """All of them, with the columns `schema.COLUMNS`: a copy, with 100 bytes a stone and more."""
        return self._rows(np.arange(len(self)))

    def let_go(self) -> None:
        """Take mapped stones out of this process's memory until it reads them again: others may have theirs."""
        for array in (self.carats, self.numbers):
            npy.let_go(array)

    def head(self, count: int) -> pd.DataFrame:
        """The first of them."""
        return self._rows(np.arange(min(count, len(self))))

    def blocks(self, size: int = BLOCK) -> Iterator[pd.DataFrame]:
        """All of them, at most `size` at a time."""
        for first in range(0, len(self), size):
            yield self._rows(np.arange(first, min(first + size, len(self))))

    def sample(self, count: int, seed: int) -> pd.DataFrame:
        """So many of them, drawn without replacement and in their order; all where there are no more."""
        if count >= len(self):
            return self.frame()
        return self._rows(np.sort(np.random.default_rng(seed).choice(len(self), count, replace=False)))

    def _rows(self, places: NDArray[np.intp]) -> pd.DataFrame:
        group = np.searchsorted(self._ends, places, side="right")
        found = dict(zip(NUMBERS, self.numbers[places].T, strict=True)) | {"carat": self.carats[places]}
        grades = {field: names.take(group) for field, names in zip(GRADES, self._names, strict=True)}
        return pd.DataFrame({column: grades[column] if column in grades else found[column] for column in COLUMNS})

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        return np.cumsum([*self.counts.values()], dtype=np.int64)

    @cached_property
    def _names(self) -> list[pd.api.extensions.ExtensionArray]:
        """Cuts, colors and clarities of the groups."""
        return [pd.array([grades[place] for grades in self.counts], dtype="str") for place in range(len(GRADES))]


def codes_of(stones: pd.DataFrame) -> NDArray[np.uint16]:
    """The place of each stone's grades in `ALL_GRADES`.

    Raises:
        ValueError: A stone has a grade that there is not.
    """
    codes = np.zeros(len(stones), np.int64)
    for field, known in GRADES.items():
        ranks = pd.Index(list(known)).get_indexer(pd.Index(stones[field]))
        if (ranks < 0).any():
            raise ValueError(f"there is no {field} {stones[field].iloc[int(np.argmin(ranks))]!r}")
        codes = codes * len(known) + ranks
    return codes.astype(np.uint16)


def sorting(carats: Array, numbers: Array) -> NDArray[np.intp]:
    """The order that sorts stones of equal grades."""
    keys = [carats if column == "carat" else numbers[:, NUMBERS.index(column)] for column in reversed(SORTED_BY)]
    return np.lexsort(keys)


def counts_by_grades(counts: NDArray[np.int64]) -> dict[Grades, int]:
    """Counts in the order of `ALL_GRADES`, without those that are nothing."""
    return {grades: count for grades, count in zip(ALL_GRADES, counts.tolist(), strict=True) if count}


def columns_of(stones: pd.DataFrame) -> tuple[Array, Array]:
    """Weights and numbers, in the order of the frame."""
    numbers = np.empty((len(stones), len(NUMBERS)))
    for place, column in enumerate(NUMBERS):
        numbers[:, place] = stones[column].to_numpy(dtype=float)
    return stones["carat"].to_numpy(dtype=float), numbers


def _spans(counts: NDArray[np.int64]) -> list[tuple[int, int]]:
    ends = np.cumsum(counts).tolist()
    return list(zip([0, *ends], ends, strict=False))
