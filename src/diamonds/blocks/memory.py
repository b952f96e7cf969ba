"""Memory that is free in a process, and still its own."""

from __future__ import annotations

import ctypes
import gc
import sys


def give_back() -> None:
    """Let the system have what was freed: allocators keep it, and what comes next would be taken beside it."""
    import pyarrow as pa

    gc.collect()
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone
        if trim is not None:
            trim(0)
