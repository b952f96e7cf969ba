"""The rows that a feed serves: drawn from a process, or read from a CSV or SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from diamonds.errors import DataError
from diamonds.streams.feeding.generators import employees
from diamonds.streams.spec import FeedSpec

#: A SQLite file begins with it.
SQLITE = b"SQLite format 3\0"
#: What stands for a boolean in a file; anything else is served as it is, for the reader to reject.
BOOLEANS = {True: True, False: False, "true": True, "false": False, "1": True, "0": False}


class Rows(Protocol):
    """Rows in the order of their keys, any of which can be had without those before."""

    total: int | None  # None: there is no end to them

    def rows(self, start: int, stop: int) -> list[dict[str, Any]]:
        """Those from `start`, counted from 0, to before `stop`, as far as there are any."""


class Drawn:
    """Employees drawn from a process: there is no end to them."""

    total: int | None = None

    def __init__(self, process: str, seed: int) -> None:
        """Draw none yet."""
        self._block = lru_cache(16)(lambda start: employees(process, seed, start, start + self.size))

    size = 1000

    def rows(self, start: int, stop: int) -> list[dict[str, Any]]:
        """Those from `start` to before `stop`."""
        found: list[dict[str, Any]] = []
        for first in range(start - start % self.size, stop, self.size):
            found += self._block(first)[max(start - first, 0) : stop - first]
        return found


class Held:
    """Rows that are held in memory, a column each."""

    def __init__(self, frame: pd.DataFrame) -> None:
        """Take a frame with the key and the columns, in the order in which they are served."""
        self._frame = frame
        self.total: int | None = len(frame)

    def rows(self, start: int, stop: int) -> list[dict[str, Any]]:
        """Those from `start` to before `stop`; what is missing is None."""
        part = self._frame.iloc[start:stop].astype(object)
        return [
            {str(name): value for name, value in row.items()}
            for row in part.where(part.notna(), None).to_dict("records")
        ]


def read_rows(spec: FeedSpec, path: Path, table: str | None = None) -> Held:
    """The rows of a CSV or SQLite file that has the columns of a feed; where it lacks the key, they are counted.

    Raises:
        DataError: It cannot be read, lacks a column, or has a row without a key.
    """
    try:
        with path.open("rb") as file:
            is_sqlite = file.read(len(SQLITE)) == SQLITE
        frame = _read_table(path, table) if is_sqlite else pd.read_csv(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, sqlite3.Error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if missing := [name for name in spec.columns if name not in frame]:
        raise DataError(f"{path} has no column {', '.join(missing)}; it has {', '.join(map(str, frame.columns))}")
    for name in (name for name, column in spec.columns.items() if column.type == "boolean"):
        frame[name] = frame[name].astype(object).map(_boolean)
    return Held(keyed(spec, frame))


def keyed(spec: FeedSpec, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the key first, counted from 1 where it has none, and sorted by it.

    Raises:
        DataError: A row has no key, or one that is not whole.
    """
    if spec.key not in frame:
        frame = frame.assign(**{spec.key: np.arange(1, len(frame) + 1)})
    keys = pd.to_numeric(frame[spec.key], errors="coerce")
    wrong = np.flatnonzero(~((keys % 1 == 0) & (keys.abs() < 2**63)))
    if wrong.size:
        place = int(wrong[0])
        raise DataError(f"row {place + 1} has the {spec.key} {frame[spec.key].iloc[place]}: it must be a whole number")
    frame = frame.assign(**{spec.key: keys.astype("int64")})
    return frame[list(spec.fields)].sort_values(spec.key, ignore_index=True)


def _boolean(value: object) -> object:
    """The boolean that stands in a file as such, as 0 or 1, or as its name; any other value as it is."""
    written = value.strip().lower() if isinstance(value, str) else value
    return BOOLEANS.get(written, value)


def appraised(spec: FeedSpec, folder: Path, seed: int, *, drift_percent: float = 0, drift_from: int = 0) -> Held:
    """The stones of a folder of CSV files in a drawn order, as if they were appraised one after the other.

    Args:
        spec: The feed of stones.
        folder: Where the files lie.
        seed: Of the order.
        drift_percent: By how much prices rise with each hundred stones.
        drift_from: The row from which they do.

    Raises:
        DataError: There is no file, or one cannot be used.
    """
    paths: Sequence[Path] = sorted(folder.glob("*.csv"))
    if not paths:
        raise DataError(f"there is no CSV in {folder}: name a file with --source")
    try:
        stones = pd.concat([pd.read_csv(path) for path in paths], ignore_index=True)
    except (OSError, ValueError) as error:
        raise DataError(f"the stones in {folder} cannot be read: {error}") from error
    if missing := [name for name in spec.columns if name not in stones]:
        raise DataError(f"the stones in {folder} have no column {', '.join(missing)}")
    stones = stones.sample(frac=1, random_state=seed, ignore_index=True)
    hundreds = np.clip(np.arange(len(stones)) - drift_from, 0, None) / 100
    stones["price"] = (stones["price"] * (1 + drift_percent / 100) ** hundreds).round(2)
    return Held(keyed(spec, stones))


def _read_table(path: Path, table: str | None) -> pd.DataFrame:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        known = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        chosen = table or (known[0] if len(known) == 1 else None)
        if chosen not in known:
            raise DataError(f"name one of the tables of {path} with --table: {', '.join(known) or 'it has none'}")
        return pd.read_sql_query(f'SELECT * FROM "{chosen}"', connection)  # noqa: S608 - it is one of its tables
