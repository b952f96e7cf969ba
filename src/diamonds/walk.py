"""The walk over boosted trees in C (`_walk.c`), for where it could be compiled when the project was installed."""

import ctypes
import logging
from array import array
from collections.abc import Sequence
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from math import nan
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger(__name__)

#: The library lies beside this file; its name says for which Python and machine it was compiled.
LIBRARY = Path(__file__).with_name("_walk" + EXTENSION_SUFFIXES[0])


class _Forest(ctypes.Structure):
    _fields_ = (("nodes", ctypes.c_void_p), ("trees", ctypes.c_int32))


class Walk:
    """Goes down all trees and adds up their leaves, for one row at a time; several threads may ask at once.

    A call holds the interpreter's lock: it is over sooner than the lock could be handed on.
    """

    @classmethod
    def over(
        cls, numbers: NDArray[np.floating[Any]], below: NDArray[Any], columns: NDArray[Any], trees: int
    ) -> Self | None:
        """A walk over these nodes, of which the first are the roots; None where there is no library for it.

        Args:
            numbers: What a node compares with, or a leaf adds; float32 or float64, and so is the sum.
            below: The place of a node's left child, the right one beside it; a leaf's own place.
            columns: The column that is compared; -1 of a leaf.
            trees: Their number.
        """
        library = _library()
        return None if library is None else cls(library, numbers, below, columns, trees)

    def __init__(
        self,
        library: ctypes.PyDLL,
        numbers: NDArray[np.floating[Any]],
        below: NDArray[Any],
        columns: NDArray[Any],
        trees: int,
    ) -> None:
        self._kind = numbers.dtype.type
        self._code, function, result = _KINDS[self._kind]
        layout = [("number", self._kind), ("below", np.int32), ("column", np.int32)]
        self._nodes = np.empty(len(numbers), np.dtype(layout, align=True))
        self._nodes["number"], self._nodes["below"], self._nodes["column"] = numbers, below, columns + 1
        self._forest = _Forest(self._nodes.ctypes.data, trees)
        self._address = ctypes.addressof(self._forest)
        self._width = int(columns.max()) + 1
        self._walk = ctypes.PYFUNCTYPE(result, ctypes.c_void_p, ctypes.c_char_p)((function, library))

    def __call__(self, row: Sequence[float]) -> Any:  # noqa: ANN401 - of the kind of the trees
        """The sum of the leaves that a row without gaps comes to, in the order of the trees.

        Raises:
            ValueError: If the row has fewer columns than are compared.
        """
        if len(row) < self._width:
            raise ValueError(f"a row of {len(row)} columns, but the trees compare {self._width}: give it all of them")
        return self._kind(self._walk(self._address, array(self._code, (nan, *row)).tobytes()))


#: Each kind of number as `array` calls it, its function, and what that returns.
_KINDS: dict[type, tuple[str, str, type[Any]]] = {
    np.float32: ("f", "walk_float", ctypes.c_float),
    np.float64: ("d", "walk_double", ctypes.c_double),
}


@cache
def _library() -> ctypes.PyDLL | None:
    """The compiled library, if it is there and of use on this machine."""
    try:
        return ctypes.PyDLL(str(LIBRARY))
    except OSError as error:
        logger.debug("Trees are walked by NumPy, for the compiled walk cannot be loaded: %s", error)
        return None
