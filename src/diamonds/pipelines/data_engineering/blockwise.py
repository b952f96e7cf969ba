"""Files and duplicates of which only a block is in memory: the same rows in the same order as of files read whole."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pandas as pd

from diamonds.blocks import Blocks, Part, current
from diamonds.blocks.table import hashes, read, write
from diamonds.errors import DataError
from diamonds.pipelines.data_engineering.raw_files import PLACE, check_header, columns_of, frame_of, readable
from diamonds.schema import COLUMNS

#: About as long is a stone in a CSV file.
BYTES_A_ROW = 48
#: Rows are sought for duplicates among so many blocks' worth of them at a time.
BLOCKS_A_BUCKET = 4
#: A file is looked through in pieces of so many bytes to see whether anything is in it.
PIECE = 1 << 20


class Stretch(NamedTuple):
    """Bytes of a CSV file that hold whole records, and how many lines are before them."""

    name: str
    path: Path
    header: list[str]
    start: int
    end: int
    lines_before: int


class Rows(NamedTuple):
    """Some rows of a row group of a Parquet file, and how many are before them in the file."""

    name: str
    path: Path
    group: int
    first: int
    rows: int
    rows_before: int


def read_file(name: str, path: Path, block_rows: int) -> tuple[Blocks, dict[str, Any]]:
    """The rows of a CSV or Parquet file in blocks, read by the workers; and its `bytes` and `sha256`.

    Raises:
        DataError: It cannot be used.
    """
    is_parquet = path.suffix.casefold() == ".parquet"
    sources: Iterator[Any] = _parquet_rows(name, path, block_rows) if is_parquet else _stretches(name, path, block_rows)
    folder = current().new_folder()
    jobs = [(source, folder / f"part-{number:06}.parquet") for number, source in enumerate(sources)]
    parts = tuple(current().each(_read_rows if is_parquet else _read_stretch, jobs))
    if not sum(part.rows for part in parts):
        raise DataError(f"{name} has {'no' if is_parquet else 'a header but no'} stones")
    with path.open("rb") as file:
        about = {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    return Blocks(tuple(part for part in parts if part.rows)), about


def drop_duplicates(checked_rows: Blocks) -> Blocks:
    """Each different appraisal once, in the order of first appearance.

    Equal rows have equal hashes, and so are in one bucket: within it they are compared whole. What was found to be a
    duplicate is then left out of its block.
    """
    buckets = -(-len(checked_rows.parts) // BLOCKS_A_BUCKET)
    folder = current().new_folder()
    scattered = list(current().each(partial(_scatter, buckets, folder), list(enumerate(checked_rows.parts))))
    found = list(current().each(partial(_duplicates, scattered, folder), range(buckets)))
    (kept,) = checked_rows.map_numbered(partial(_without, found), outputs=1)
    return kept


def _stretches(name: str, path: Path, block_rows: int) -> Iterator[Stretch]:
    if _is_blank(path):
        raise DataError(f"{name} is empty")
    with path.open("rb") as file, readable(name):
        start, lines = _record_end(file, 0, 1)
        file.seek(0)
        header = columns_of(
            next(csv.reader(io.StringIO(file.read(start).decode("utf-8-sig"), newline=""), strict=True))
        )
        check_header(name, header)
        while True:
            end, more = _record_end(file, start, block_rows * BYTES_A_ROW)
            if end == start:
                return
            yield Stretch(name, path, header, start, end, lines)
            start, lines = end, lines + more


def _is_blank(path: Path) -> bool:
    with path.open("rb") as file:
        return not any(piece.strip() for piece in iter(partial(file.read, PIECE), b""))


def _record_end(file: BinaryIO, start: int, size: int) -> tuple[int, int]:
    """Where the first record ends that reaches so many bytes beyond `start`, and how many lines are up to there.

    Where nothing is quoted each line is a record. Elsewhere csv's own reader says where one ends; bytes are as good as
    characters to it, for UTF-8 uses none of those that matter for anything else.
    """
    file.seek(start)
    piece = file.read(size)
    piece += file.readline()
    if b'"' not in piece and piece.count(b"\r") == piece.count(b"\r\n"):
        return start + len(piece), piece.count(b"\n") + (not piece.endswith(b"\n") and bool(piece))
    file.seek(start)
    lines = _Counted(io.TextIOWrapper(io.BufferedReader(_Lent(file)), "latin-1", newline=""))
    reader = csv.reader(lines, strict=True)
    for _ in reader:
        if lines.characters >= size:
            break
    return start + lines.characters, reader.line_num


class _Lent(io.RawIOBase):
    """A file that is not closed by those who read it."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - as `io` has it
        content = self._file.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)


class _Counted:
    """Lines, and how many characters they had so far."""

    def __init__(self, lines: io.TextIOWrapper) -> None:
        self._lines, self.characters = lines, 0

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.characters += len(line)
            yield line


def _read_stretch(job: tuple[Stretch, Path]) -> Part:
    (name, path, header, start, end, lines_before), place = job
    with path.open("rb") as file, readable(name):
        file.seek(start)
        text = file.read(end - start).decode("utf-8")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        return write(frame_of(name, header, reader, lines_before), place)


def _parquet_rows(name: str, path: Path, block_rows: int) -> Iterator[Rows]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.stat().st_size:
        raise DataError(f"{name} is empty")
    try:
        about = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{name} is not a Parquet file ({error})") from error
    check_header(name, columns_of(about.schema_arrow.names))
    before = 0
    for group in range(about.num_row_groups):
        rows = about.metadata.row_group(group).num_rows
        for first in range(0, rows, block_rows):
            yield Rows(name, path, group, first, min(block_rows, rows - first), before + first)
        before += rows


def _read_rows(job: tuple[Rows, Path]) -> Part:
    """As text, as in a CSV file; the line is the row's number in the file, counted from 1."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (name, path, group, first, rows, before), place = job
    try:
        table = pq.ParquetFile(path).read_row_group(group).slice(first, rows)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{name} is not a Parquet file ({error})") from error
    columns = {column.strip().casefold(): _texts(table[column]) for column in table.column_names}
    frame = pd.DataFrame(columns, dtype=str)
    frame = frame.assign(file=name, line=before + 1 + np.arange(rows), extra=0)
    return write(frame.astype({"file": str})[[*PLACE, *COLUMNS, "extra"]], place)


def _texts(column: Any) -> list[str]:  # noqa: ANN401 - Arrow ships no types
    return ["" if value is None else str(value) for value in column.to_pylist()]


def _scatter(buckets: int, folder: Path, job: tuple[int, Part]) -> Path:
    """A file of a block's rows with their places, a row group for each bucket."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number, part = job
    stones = read(part)[list(COLUMNS)]
    bucket = hashes(stones) % np.uint64(buckets)
    placed = stones.assign(block=np.int32(number), row=np.arange(len(stones), dtype=np.int32))
    path = folder / f"scattered-{number:06}.parquet"
    with pq.ParquetWriter(path, pa.Schema.from_pandas(placed, preserve_index=False)) as writer:
        for each in range(buckets):
            writer.write_table(pa.Table.from_pandas(placed[bucket == each], preserve_index=False))
    return path


def _duplicates(paths: list[Path], folder: Path, bucket: int) -> Path:
    """A file of the places (block, row) of those rows of a bucket that an earlier one equals."""
    rows = pd.concat([_of_bucket(path, bucket) for path in paths], ignore_index=True)
    repeated = rows.duplicated(list(COLUMNS)).to_numpy()
    place = folder / f"duplicates-{bucket:06}.npy"
    np.save(place, rows.loc[repeated, ["block", "row"]].to_numpy(dtype=np.int32))
    return place


def _of_bucket(path: Path, bucket: int) -> pd.DataFrame:
    import pyarrow.parquet as pq

    frame: pd.DataFrame = pq.ParquetFile(path).read_row_group(bucket).to_pandas()
    return frame


def _without(found: list[Path], number: int, rows: pd.DataFrame) -> pd.DataFrame:
    """A block without what was found."""
    kept = np.ones(len(rows), dtype=bool)
    for place in found:
        places = np.load(place, mmap_mode="r")
        kept[places[places[:, 0] == number, 1]] = False
    return rows.loc[kept, list(COLUMNS)].reset_index(drop=True)
