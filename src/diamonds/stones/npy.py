"""Arrays of float64 as NumPy's own files hold them, written piece by piece and used where they lie."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from io import BytesIO
from math import prod
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

if sys.platform != "win32":
    from mmap import MADV_DONTNEED

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
        let_go(array)


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


def let_go(array: Array) -> None:
    """Give the pages of a mapped array back: whoever wants them again has them from the file; others are left alone.

    What goes through millions of stones once would else count as memory of this process, up to all of them.
    """
    content: Any = array.base
    while isinstance(content, np.ndarray):
        content = content.base
    if isinstance(content, memoryview) and isinstance(content.obj, mmap) and sys.platform != "win32":
        content.obj.madvise(MADV_DONTNEED)


def mapped(path: Path, shape: tuple[int, ...]) -> Array:
    """The array in a file, mapped: what is read of it lies in memory once for all processes of this machine.

    Raises:
        ValueError: As `array_in` says.
    """
    with path.open("rb") as file:
        return array_in(mmap(file.fileno(), 0, access=ACCESS_READ), shape)
