"""Arrays of float64 as NumPy's own files hold them, written piece by piece and used where they lie."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from math import prod
from mmap import ACCESS_READ, MADV_DONTNEED, mmap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DTYPE = np.dtype("<f8")
#: No header of an array of floats is longer, in bytes.
LONGEST_HEADER = 4096
#: How many rows are written at once.
PIECE = 65_536


def header(shape: tuple[int, ...]) -> bytes:
    """What a file of this many numbers begins with."""
    file = BytesIO()
    described = {"descr": DTYPE.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, described)
    return file.getvalue()


def pieces(array: Array) -> Iterator[bytes]:
    """The file of this array piece by piece."""
    yield header(array.shape)
    for first in range(0, len(array), PIECE):
        yield array[first : first + PIECE].astype(DTYPE).tobytes()


def array_in(content: bytes | mmap, shape: tuple[int, ...]) -> Array:
    """The array that the file with this content holds, without a copy of it; nothing in it is ever run.

    Raises:
        ValueError: It is no file of float64 in rows, or has another shape or size.
    """
    file = BytesIO(content[:LONGEST_HEADER])
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("it is of another version of NumPy's format than 1.0")
    stated, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype != DTYPE or by_columns or stated != shape:
        raise ValueError(f"it holds {dtype} of shape {stated}, and not {DTYPE} of shape {shape} row by row")
    if len(content) != file.tell() + DTYPE.itemsize * prod(shape):
        raise ValueError(f"its size of {len(content):,} bytes is not that of an array of shape {shape}")
    return np.frombuffer(content, DTYPE, offset=file.tell()).reshape(shape)


def mapped(path: Path, shape: tuple[int, ...]) -> Array:
    """The array in a file, mapped: what is read of it lies in memory once for all processes of this machine.

    Raises:
        ValueError: As `array_in` says.
    """
    with path.open("rb") as file:
        return array_in(mmap(file.fileno(), 0, access=ACCESS_READ), shape)


def let_go(array: Array) -> None:
    """Take a mapped array out of this process's memory until it is read again; one that lies in memory stays."""
    holder: object = array
    while isinstance(holder, np.ndarray | memoryview):
        holder = holder.base if isinstance(holder, np.ndarray) else holder.obj
    if isinstance(holder, mmap):
        holder.madvise(MADV_DONTNEED)
