"""Sorting more stones than fit into memory: spilled by their grades, then sorted and written grade by grade."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from diamonds.stones import npy
from diamonds.stones.sorted import ALL_GRADES, NUMBERS, Grades, codes_of, columns_of, counts_by_grades, sorting

CARATS, NUMBERS_FILE = "carats.npy", "numbers.npy"
#: A stone's weight and its numbers.
WIDTH = 1 + len(NUMBERS)


def sort_in(folder: Path, blocks: Iterable[pd.DataFrame]) -> tuple[npy.Array, npy.Array, dict[Grades, int]]:
    """What `SortedStones` consists of, its arrays mapped from files in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".spilled-", dir=folder) as spilled:
        counts = _spill(blocks, Path(spilled))
        _write(Path(spilled), counts, folder)
    count = int(counts.sum())
    carats = npy.mapped(folder / CARATS, (count,))
    numbers = npy.mapped(folder / NUMBERS_FILE, (count, len(NUMBERS)))
    return carats, numbers, counts_by_grades(counts)


def _spill(blocks: Iterable[pd.DataFrame], folder: Path) -> NDArray[np.int64]:
    """Add the stones of each block to the files of their grades; gives how many each has."""
    counts = np.zeros(len(ALL_GRADES), np.int64)
    for block in blocks:
        codes, rows = codes_of(block), np.column_stack(columns_of(block))
        order = np.argsort(codes, kind="stable")
        found = np.bincount(codes, minlength=len(ALL_GRADES))
        ends = np.cumsum(found)
        for code in np.flatnonzero(found).tolist():
            with (folder / str(code)).open("ab") as file:
                rows[order[ends[code] - found[code] : ends[code]]].tofile(file)
        counts += found
    return counts


def _write(spilled: Path, counts: NDArray[np.int64], folder: Path) -> None:
    count = int(counts.sum())
    with (folder / CARATS).open("wb") as carats, (folder / NUMBERS_FILE).open("wb") as numbers:
        carats.write(npy.header((count,)))
        numbers.write(npy.header((count, len(NUMBERS))))
        for rows in _sorted_groups(spilled, counts):
            carats.write(rows[:, 0].tobytes())
            numbers.write(rows[:, 1:].tobytes())


def _sorted_groups(spilled: Path, counts: NDArray[np.int64]) -> Iterator[npy.Array]:
    """The stones of each combination of grades, sorted; what was spilled of it goes."""
    for code in np.flatnonzero(counts).tolist():
        rows = np.fromfile(spilled / str(code)).reshape(-1, WIDTH)
        (spilled / str(code)).unlink()
        yield rows[sorting(rows[:, 0], rows[:, 1:])]
