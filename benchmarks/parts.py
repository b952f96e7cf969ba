"""Benchmarks of several parts: the sizes that the command line may change, and the table that each part prints."""

import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from benchmarks.traffic.findings import Findings


def add_sizes(asked: ArgumentParser, sizes: Any) -> None:  # noqa: ANN401 - any dataclass
    """An option for each field of a dataclass of sizes."""
    for each in fields(sizes):
        words = f"{each.default:,g} if not given"
        asked.add_argument(f"--{each.name}", type=each.type, default=each.default, help=words)


def printed(part: str, measure: Callable[[], Findings]) -> Findings:
    """Measure one part and print what it found."""
    print(f"measuring {part}", file=sys.stderr)
    began = time.monotonic()
    findings = measure()
    findings.remarks.append(f"measured in {time.monotonic() - began:,.0f} s")
    print(findings.table(), flush=True)
    return findings
