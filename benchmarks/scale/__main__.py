"""What more workers, tuners and memory bring, on this machine and a PostgreSQL of our own, each held to its bar.

    python -m benchmarks.scale [--only PART ...] [--project DIR] [--json FILE] [--rounds N] ...

The parts: `workers` (requests a second of two workers beside one), `tuners` (two `diamonds tune` on one study beside
one, and one that is killed), `index` (the memory of two workers beside one, of millions of similar stones) and
`training` (`kedro run` in memory, out of it and by Dask). The exit status is 1 where something was lost, doubled or
failed; a bar that is not reached is only said.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from benchmarks.scale import index, tuners, workers
from benchmarks.scale.sizes import Sizes
from benchmarks.service.report import machine
from benchmarks.service.servers import end_in_order_on_signals
from benchmarks.traffic.__main__ import champion_of, make
from benchmarks.traffic.findings import Findings
from benchmarks.traffic.postgresql import running_postgresql
from benchmarks.traffic.sites import Sites

PARTS: dict[str, Callable[[Sites, Sizes], Findings]] = {
    "workers": workers.measure,
    "tuners": tuners.measure,
    "index": index.measure,
}


def main() -> None:
    """Measure, print, and end with 1 if something was lost, doubled or failed."""
    given = arguments()
    end_in_order_on_signals()
    sizes = Sizes(**{each.name: getattr(given, each.name) for each in fields(Sizes)})
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as name:
        folder = Path(name)
        store = champion_of(given.project, folder) if "workers" in given.only else folder / "champion"
        with running_postgresql(folder / "postgresql") as postgresql:
            found = []
            for part in given.only:
                own = store if part == "workers" else folder / f"{part}-champion"
                found.append(measure(part, Sites(make(folder / part), own, postgresql), sizes))
    if given.json:
        facts = {"machine": machine(), "parts": [findings.as_json() for findings in found]}
        given.json.write_text(json.dumps(facts, indent=1) + "\n")
    sys.exit(1 if any(findings.problems for findings in found) else 0)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help="these parts")
    asked.add_argument("--project", type=Path, help="a trained project whose champion is served; it is not changed")
    asked.add_argument("--json", type=Path, help="a file to write all figures to")
    for each in fields(Sizes):
        words = f"{each.default:,g} if not given"
        asked.add_argument(f"--{each.name}", type=each.type, default=each.default, help=words)
    return asked.parse_args()


def measure(part: str, sites: Sites, sizes: Sizes) -> Findings:
    """Measure one part and print what it found."""
    print(f"measuring {part}", file=sys.stderr)
    began = time.monotonic()
    findings = PARTS[part](sites, sizes)
    findings.remarks.append(f"measured in {time.monotonic() - began:,.0f} s")
    print(findings.table(), flush=True)
    return findings


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped; everything that was started has ended")
