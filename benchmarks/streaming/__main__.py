"""What learning from a stream gives, and what it costs, beside batch fits and other learners, on this machine.

    python -m benchmarks.streaming [--only PART ...] [--quick] [--json FILE]

The parts: `learners` (the classifier beside batch fits, river and scikit-learn), `regressions` (their precision, false
alarms while watching, the verdict), `prices` (the market index, with and without drift), `kills` (SIGKILL at fifty
instants, on SQLite and PostgreSQL), `throughput` (a million rows over HTTP) and `pages` (a hundred viewers). The exit
status is 1 where a promise is broken; a bar of speed that is not reached is only said.
"""

import argparse
import importlib
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.parts import printed
from benchmarks.service.report import machine
from benchmarks.service.servers import end_in_order_on_signals
from benchmarks.traffic.findings import Findings

PARTS = ("learners", "regressions", "prices", "kills", "throughput", "pages")


def main() -> None:
    """Measure, print, and end with 1 if a promise was broken."""
    given = arguments()
    end_in_order_on_signals()
    found = [printed(part, partial(_measure_of(part), quick=given.quick)) for part in given.only]
    if given.json:
        facts = {"machine": machine(), "parts": [findings.as_json() for findings in found]}
        given.json.write_text(json.dumps(facts, indent=1) + "\n")
    sys.exit(1 if any(findings.problems for findings in found) else 0)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help="these parts")
    asked.add_argument("--quick", action="store_true", help="fewer streams and rows, for a first look")
    asked.add_argument("--json", type=Path, help="a file to write all figures to")
    return asked.parse_args()


def _measure_of(part: str) -> Callable[..., Findings]:
    """Parts are imported as they are measured: some need libraries that others do not."""
    measure: Callable[..., Findings] = importlib.import_module(f"benchmarks.streaming.{part}").measure
    return measure


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped; everything that was started has ended")
