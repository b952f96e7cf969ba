"""The parts of a saved pricer: plain files that are read whole, and checked before any parser sees a byte."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path

from diamonds.errors import ArtefactError

MANIFEST = "manifest.json"
FACTS = "pricer.json"
STONES = "stones.parquet"
ESTIMATOR_JSON = "estimator.json"
ESTIMATOR_SKOPS = "estimator.skops"
TREES = "booster.json"
#: The parts that make a pricer, under the manifest: one of these, whole.
LAYOUTS = (
    {FACTS, STONES, ESTIMATOR_JSON},
    {FACTS, STONES, ESTIMATOR_SKOPS},
    {FACTS, STONES, ESTIMATOR_SKOPS, TREES},
)
#: What the Bento store puts beside them; it is never read here.
BENTO_DESCRIPTION = "model.yaml"


def hash_of(content: bytes) -> str:
    """The SHA-256 of the content, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def write_file(path: Path, content: bytes) -> None:
    """Write the content and wait until the disk has it.

    Raises:
        OSError: The disk did not take it.
    """
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read_file(path: Path) -> bytes:
    """The content of a file that lies here itself.

    Raises:
        ArtefactError: It is a link, a folder or anything else that is no plain file, or it cannot be read.
    """
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise ArtefactError(f"{path} is no plain file: a saved pricer holds no links and no folders")
        return path.read_bytes()
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror}") from error


def read_parts(folder: Path, hashes: dict[str, str]) -> dict[str, bytes]:
    """The content of each part, by name.

    Args:
        folder: Where they lie.
        hashes: The SHA-256 of each, by name, as the manifest has them.

    Raises:
        ArtefactError: A part is missing, changed or no plain file, or something else lies there too; the message
            names it.
    """
    _check_names(folder, hashes.keys())
    parts = {name: read_file(folder / name) for name in hashes}
    for name, content in parts.items():
        if hash_of(content) != hashes[name]:
            raise ArtefactError(f"{folder / name} was changed after it was saved: its sha256 does not match")
    return parts


def _check_names(folder: Path, named: Set[str]) -> None:
    if named not in LAYOUTS:
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
