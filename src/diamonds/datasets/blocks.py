"""Tables in blocks on disk."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
from kedro.io import AbstractVersionedDataset, Version

from diamonds.blocks import Blocks

#: Rows of a CSV file that are read at a time.
CHUNK = 50_000


class _TableDataset(AbstractVersionedDataset[Blocks, Blocks]):
    """A table by its versions."""

    def __init__(
        self, *, filepath: str, version: Version | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
        """Name the folder that holds the versions; `metadata` is for Kedro's plugins."""
        super().__init__(PurePosixPath(filepath), version)
        self.metadata = metadata

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "version": self._version}


class BlocksDataset(_TableDataset):
    """A table as a folder of Parquet files, which appears whole or not at all.

    A frame may be saved too, as one block; and what `pandas.ParquetDataset` saved is loaded as one.
    """

    def load(self) -> Blocks:
        """Name the parts; none is read but for its number of rows."""
        return Blocks.at(Path(self._get_load_path()).absolute())

    def save(self, data: Blocks | pd.DataFrame) -> None:
        """Take the parts over: as links where the disk allows it, else as copies."""
        blocks = Blocks.of([data]) if isinstance(data, pd.DataFrame) else data
        place = Path(self._get_save_path()).absolute()
        aside = place.with_name(f".{place.name}-{uuid.uuid4().hex}")
        aside.mkdir(parents=True)
        try:
            for number, part in enumerate(blocks.parts):
                _take(part.path, aside / f"part-{number:06}.parquet")
            aside.rename(place)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


class CsvBlocksDataset(_TableDataset):
    """A table as one CSV file for people, which is written and read block by block."""

    def load(self) -> Blocks:
        """Read the file, as text, into blocks."""
        with pd.read_csv(self._get_load_path(), dtype=str, keep_default_na=False, chunksize=CHUNK) as chunks:
            return Blocks.of(chunks)

    def save(self, data: Blocks) -> None:
        """Write block after block; the file has its name only when it is whole."""
        place = Path(self._get_save_path())
        aside = place.with_name(f".{place.name}-{uuid.uuid4().hex}")
        aside.parent.mkdir(parents=True, exist_ok=True)
        try:
            for number, frame in enumerate(data):
                frame.to_csv(aside, index=False, header=not number, mode="a")
            aside.replace(place)
        finally:
            aside.unlink(missing_ok=True)


def _take(part: Path, place: Path) -> None:
    try:
        os.link(part, place)
    except OSError:
        shutil.copy(part, place)
