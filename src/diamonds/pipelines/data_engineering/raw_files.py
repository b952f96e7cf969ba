"""Files of appraised stones, as text: nothing is judged here but whether a file is one."""

import csv
import difflib
import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd

from diamonds.errors import DataError
from diamonds.schema import COLUMNS

PLACE = ["file", "line"]


def read_whole(name: str, content: bytes) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The rows of a CSV file, and its `bytes` and `sha256`.

    Raises:
        DataError: It cannot be used.
    """
    return _read(name, content), {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _read(name: str, content: bytes) -> pd.DataFrame:
    if not content.strip():
        raise DataError(f"{name} is empty")
    with readable(name):
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = columns_of(next(reader, []))
        check_header(name, header)
        frame = frame_of(name, header, reader)
    if frame.empty:
        raise DataError(f"{name} has a header but no stones")
    return frame


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Whatever reading inside trips over says that the file is no CSV.

    Raises:
        DataError: It is not.
    """
    try:
        yield
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{name} is not a CSV file in UTF-8 ({error})") from error


def columns_of(row: list[str]) -> list[str]:
    """The names of columns in a header."""
    return [column.strip().casefold() for column in row]


def frame_of(name: str, header: list[str], reader: Any, lines_before: int = 0) -> pd.DataFrame:  # noqa: ANN401 - untyped
    """All rows that are left in csv's reader, with the line that each begins on, but those that are empty."""
    numbered = [(line, row) for line, row in _numbered(reader) if any(field.strip() for field in row)]
    rows = [_fit(row, len(header)) for _, row in numbered]
    frame = pd.DataFrame(rows, columns=header, dtype=str)
    frame["extra"] = pd.array([len(row) - len(header) for _, row in numbered], dtype="int64")
    lines = pd.array([lines_before + line for line, _ in numbered], dtype="int64")
    return frame.assign(file=pd.array([name] * len(frame), dtype=str), line=lines)[[*PLACE, *COLUMNS, "extra"]]


def _numbered(reader: Any) -> Iterator[tuple[int, list[str]]]:  # noqa: ANN401 - csv's reader has no public type
    """Each row and the line it begins on, counted from 1: a quoted field may span several."""
    begins = reader.line_num + 1
    for row in reader:
        yield begins, row
        begins = reader.line_num + 1


def check_header(name: str, header: list[str]) -> None:
    """Make sure that a file has exactly the columns of stones.

    Raises:
        DataError: It has not; the message says what is meant by those that are not known.
    """
    missing = [column for column in COLUMNS if column not in header]
    unknown = [column for column in header if column not in COLUMNS]
    repeated = {column for column in header if header.count(column) > 1}
    if not missing and not unknown and not repeated:
        return
    complaints = []
    if missing:
        complaints.append(f"lacks the columns {', '.join(missing)}")
    if unknown:
        complaints.append(f"has unknown columns {', '.join(_unknown(column, missing) for column in unknown)}")
    if repeated:
        complaints.append(f"has columns twice: {', '.join(sorted(repeated))}")
    raise DataError(f"{name} {' and '.join(complaints)}; its first line must name {','.join(COLUMNS)}")


def _unknown(column: str, missing: list[str]) -> str:
    meant = difflib.get_close_matches(column, missing, n=1)
    return f"{column!r} (meant {meant[0]}?)" if meant else repr(column)


def _fit(row: list[str], length: int) -> list[str]:
    return (row + [""] * length)[:length]
