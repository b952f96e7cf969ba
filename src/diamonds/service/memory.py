"""Memory that nothing uses any more, given back to the machine."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Let the machine have what loading needed: glibc would keep it for this process alone.

    Of a champion's trees, read from JSON, that is some 40 MB a worker. Where the C library is another, it decides.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
