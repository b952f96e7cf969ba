"""What a process gives back to the machine once it has loaded what it needs."""

import ctypes
from pathlib import Path

from diamonds.memory import give_back


def resident():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line)


def test_what_was_needed_for_a_moment_goes_back_to_the_machine():
    small = [bytes(2000) for _ in range(50_000)]  # 100 MB, none large enough to be mapped by itself
    held = small[-1]  # below it glibc keeps what is freed
    small.clear()
    before = resident()

    give_back()

    assert resident() < before - 50_000 or not hasattr(ctypes.CDLL(None), "malloc_trim")
    assert len(held) == 2000
