"""The parts of a saved pricer: plain files, read whole or mapped, and checked before any parser sees a byte."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NamedTuple

from diamonds.errors import ArtefactError

MANIFEST = "manifest.json"
FACTS = "pricer.json"
#: The stones: how many have which grades, and two arrays in that order.
GRADES, CARATS, NUMBERS = "grades.json", "carats.npy", "numbers.npy"
#: The stones, as pricers of formats 1 and 2 hold them.
STONES = "stones.parquet"
ESTIMATOR_JSON = "estimator.json"
ESTIMATOR_SKOPS = "estimator.skops"
TREES = "booster.json"
#: The parts that hold stones, and those that hold a fitted estimator: one of each, and `FACTS`, make a pricer.
STONES_LAYOUTS = ({GRADES, CARATS, NUMBERS}, {STONES})
ESTIMATOR_LAYOUTS = ({ESTIMATOR_JSON}, {ESTIMATOR_SKOPS}, {ESTIMATOR_SKOPS, TREES})
#: What the Bento store puts beside them; it is never read here.
BENTO_DESCRIPTION = "model.yaml"

#: Arrays are mapped, so that all processes of a machine share them; an empty file cannot be.
MAPPED = {CARATS, NUMBERS}
Mapped = mmap | bytes


class Parts(NamedTuple):
    """The content of each part, by name: of those that were read whole, and of those that are `MAPPED`."""

    read: dict[str, bytes]
    mapped: dict[str, Mapped]


def hash_of(content: bytes) -> str:
    """The SHA-256 of the content, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def write_file(path: Path, pieces: Iterable[bytes]) -> str:
    """Write the content piece by piece and wait until the disk has it; gives its SHA-256, in hexadecimal digits.

    Raises:
        OSError: The disk did not take it.
    """
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for piece in pieces:
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def read_file(path: Path) -> bytes:
    """The content of a file that lies here itself.

    Raises:
        ArtefactError: It is a link, a folder or anything else that is no plain file, or it cannot be read.
    """
    with _readable(path):
        return path.read_bytes()


def map_file(path: Path) -> tuple[Mapped, str]:
    """The content of a file that lies here itself, where it lies, and its SHA-256; it may be removed, but not changed.

    The hash is of what was read from the file, not from the map: no page of it is this process's before it is used.

    Raises:
        ArtefactError: As `read_file` says.
    """
    with _readable(path), path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
        return (mmap(file.fileno(), 0, access=ACCESS_READ) if os.fstat(file.fileno()).st_size else b""), found


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise ArtefactError(f"{path} is no plain file: a saved pricer holds no links and no folders")
        yield
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror}") from error


def read_parts(folder: Path, hashes: dict[str, str]) -> Parts:
    """The content of all parts.

    Args:
        folder: Where they lie.
        hashes: The SHA-256 of each, by name, as the manifest has them.

    Raises:
        ArtefactError: A part is missing, changed or no plain file, or something else lies there too; the message
            names it.
    """
    _check_names(folder, hashes.keys())
    read = {name: read_file(folder / name) for name in hashes.keys() - MAPPED}
    mapped = {name: map_file(folder / name) for name in hashes.keys() & MAPPED}
    found = {name: hash_of(content) for name, content in read.items()}
    found |= {name: sha256 for name, (_, sha256) in mapped.items()}
    for name, sha256 in found.items():
        if sha256 != hashes[name]:
            raise ArtefactError(f"{folder / name} was changed after it was saved: its sha256 does not match")
    return Parts(read, {name: content for name, (content, _) in mapped.items()})


def _check_names(folder: Path, named: Set[str]) -> None:
    if not any(named == {FACTS} | stones | fitted for stones in STONES_LAYOUTS for fitted in ESTIMATOR_LAYOUTS):
        raise ArtefactError(f"{folder / MANIFEST} names parts that make no pricer: {_listed(named) or 'none'}")
    try:
        there = {path.name for path in folder.iterdir()} - {MANIFEST, BENTO_DESCRIPTION}
    except OSError as error:
        raise ArtefactError(f"{folder} cannot be read: {error.strerror}") from error
    if missing := named - there:
        raise ArtefactError(f"{folder} is incomplete: {_listed(missing)} missing")
    if extra := there - named:
        raise ArtefactError(f"{folder} holds what its manifest does not name: {_listed(extra)}")


@contextmanager
def parsing(part: str) -> Iterator[None]:
    """Whatever goes wrong inside says that this part does not hold what it should.

    Raises:
        ArtefactError: In place of any other exception: each parser raises what it likes.
    """
    try:
        yield
    except ArtefactError:
        raise
    except Exception as error:
        raise ArtefactError(f"{part} does not hold what it should: {type(error).__name__}: {error}") from error


def _listed(names: Set[str]) -> str:
    """The names in quotes: they may be anybody's."""
    return ", ".join(map(repr, sorted(names)))
