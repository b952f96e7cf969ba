"""What more workers, tuners and memory bring, on this machine and a PostgreSQL of our own, each held to its bar.

    python -m benchmarks.scale [--only PART ...] [--project DIR] [--json FILE] [--rounds N] ...

The parts: `workers` (requests a second of two workers beside one), `tuners` (two `diamonds tune` on one study beside
one, and one that is killed), `index` (the memory of two workers beside one, of millions of similar stones) and
`training` (`kedro run` in memory, from external memory and on Dask, as stones grow). The exit
status is 1 where something was lost, doubled or failed; a bar that is not reached is only said.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.parts import add_sizes, printed
from benchmarks.scale import index, tuners, workers
from benchmarks.scale.sizes import Sizes
from benchmarks.service import champions
from benchmarks.service.report import machine
from benchmarks.service.servers import end_in_order_on_signals
from benchmarks.traffic.findings import Findings
from benchmarks.traffic.postgresql import running_postgresql
from benchmarks.traffic.sites import Sites

PARTS: dict[str, Callable[[Sites, Sizes], Findings]] = {
    "workers": workers.measure,
    "tuners": tuners.measure,
    "index": index.measure,
}
#: Measured by a program of its own.
TRAINING = "training"


def main() -> None:
    """Measure, print, and end with 1 if something was lost, doubled or failed."""
    given = arguments()
    end_in_order_on_signals()
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as name:
        folder = Path(name)
        found = measured(folder, given) if set(given.only) & set(PARTS) else []
        failed = any(findings.problems for findings in found)
        facts: dict[str, Any] = {"machine": machine(), "parts": [findings.as_json() for findings in found]}
        if TRAINING in given.only:
            failed |= trained(folder / "training.json")
            facts[TRAINING] = json.loads((folder / "training.json").read_text())
    if given.json:
        given.json.write_text(json.dumps(facts, indent=1) + "\n")
    sys.exit(1 if failed else 0)


def measured(folder: Path, given: argparse.Namespace) -> list[Findings]:
    """All parts that are measured here, one after the other, with a PostgreSQL that they share."""
    sizes = Sizes(**{each.name: getattr(given, each.name) for each in fields(Sizes)})
    store = champions.champion_of(given.project, folder) if "workers" in given.only else folder / "champion"
    found = []
    with running_postgresql(folder / "postgresql") as postgresql:
        for part in (part for part in given.only if part in PARTS):
            own = store if part == "workers" else folder / f"{part}-champion"
            found.append(printed(part, partial(PARTS[part], Sites(folder / part, own, postgresql), sizes)))
    return found


def trained(figures: Path) -> bool:
    """Whether a promise was broken while `kedro run` was measured as stones grow; its figures are written there."""
    figures.write_text("[]")
    command = [sys.executable, "-m", "benchmarks.scale.training", "--json", str(figures)]
    return subprocess.run(command, check=False).returncode != 0


def arguments() -> argparse.Namespace:
    """What the command line says."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument(
        "--only", nargs="+", choices=[*PARTS, TRAINING], default=[*PARTS, TRAINING], metavar="PART", help="these parts"
    )
    asked.add_argument("--project", type=Path, help="a trained project whose champion is served; it is not changed")
    asked.add_argument("--json", type=Path, help="a file to write all figures to")
    add_sizes(asked, Sizes)
    return asked.parse_args()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped; everything that was started has ended")
