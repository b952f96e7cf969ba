"""Memory that nothing uses any more, given back to the machine."""

from __future__ import annotations

import ctypes
import gc
import sys


def give_back() -> None:
    """Let the machine have what was freed: Arrow and glibc would keep it for this process alone.

    Of a champion's trees, read from JSON, that is some 40 MB a worker. Where the C library is another, it decides.
    """
    gc.collect()
    if arrow := sys.modules.get("pyarrow"):
        arrow.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
