"""One file of an outbox, as it is read: records of exchanges, a line each."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

#: How much of a file is shipped at once, or else one record. Between half of it and eight times as much, neither SQLite
#: nor PostgreSQL takes more in a second.
BATCH_BYTES = 1_000_000
#: A record is about 17 MiB at most: what goes on for longer without a line break is none, and is not held in memory.
MOST_LINE_BYTES = 32 * 1024 * 1024
#: How every record begins.
BEGIN = b'{"request_id":"'
TEXT_BEGIN = BEGIN.decode()


@dataclass(frozen=True)
class Batch:
    """What was read of a file at once.

    Attributes:
        records: JSON, each beginning with its `request_id`.
        unreadable: Lines that are no records.
        end: Where the batch ends in the file, in bytes.
        is_endless: Whether it is a stretch without a line break instead, too long to be a record.
    """

    records: list[str]
    unreadable: list[bytes]
    end: int
    is_endless: bool = False


class Segment:
    """A file that nothing is added to any more.

    Attributes:
        path: Where it lies.
        waiting: How many of its lines the database does not have yet.
        is_spoilt: Whether it holds what the database cannot have and what lies nowhere else.
    """

    def __init__(self, path: Path, waiting: int) -> None:
        """Begin at its beginning."""
        self.path = path
        self.waiting = waiting
        self.is_spoilt = False
        self._start = 0

    def read(self) -> Batch | None:
        """The next batch; None at the end, or before the beginning of a record whose process died writing it.

        Raises:
            OSError: The file is gone, or cannot be read.
        """
        with self.path.open("rb") as file:
            file.seek(self._start)
            content = file.read(BATCH_BYTES)
            if b"\n" not in content:
                content += file.readline(MOST_LINE_BYTES - len(content))
            if b"\n" in content:
                whole = content[: content.rindex(b"\n")]
                return _as_batch(whole, self._start + len(whole) + 1)
            if len(content) == MOST_LINE_BYTES:
                return Batch([], [], _after_line(file), is_endless=True)
        return None if _is_cut(content) else Batch([], [content.rstrip(b"\0")], self._start + len(content))

    def advance(self, batch: Batch) -> None:
        """Go on behind a batch that is done with."""
        self._start = batch.end
        self.waiting = max(0, self.waiting - len(batch.records) - len(batch.unreadable))


def count_lines(path: Path) -> int:
    """How many lines a file has; 0 if it cannot be read, which is found out again when it is shipped."""
    lines = 0
    with suppress(OSError), path.open("rb") as file:
        while content := file.read(BATCH_BYTES):
            lines += content.count(b"\n")
    return lines


def find_line(path: Path, begin: bytes) -> bytes | None:
    """The first whole line of a file that begins so; None if there is none.

    Raises:
        OSError: The file is gone, or cannot be read.
    """
    with path.open("rb") as file:
        while line := file.readline(MOST_LINE_BYTES):
            if line.startswith(begin) and line.endswith(b"\n"):
                return line
    return None


def _as_batch(content: bytes, end: int) -> Batch:
    """What whole lines hold, the last without its line break."""
    try:
        lines = content.decode().split("\n")  # all at once: as a rule none of them is odd
    except UnicodeDecodeError:
        lines = []
    if lines and all(line.startswith(TEXT_BEGIN) for line in lines):
        return Batch(lines, [], end)
    records: list[str] = []
    unreadable: list[bytes] = []
    for line in content.split(b"\n"):
        record = _as_record(line)
        if record is None:
            unreadable.append(line)
        else:
            records.append(record)
    return Batch(records, unreadable, end)


def _as_record(line: bytes) -> str | None:
    try:
        return line.decode() if line.startswith(BEGIN) else None
    except UnicodeDecodeError:
        return None


def _is_cut(tail: bytes) -> bool:
    """Whether what lacks its end is the beginning of a record: its exchange was never answered."""
    return BEGIN.startswith(tail[: len(BEGIN)]) and b"\0" not in tail


def _after_line(file: BinaryIO) -> int:
    """Where the next line begins, or the file ends."""
    while (part := file.readline(BATCH_BYTES)) and not part.endswith(b"\n"):
        pass
    return file.tell()
