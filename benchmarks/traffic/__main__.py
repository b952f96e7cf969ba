"""Whether the traffic log keeps its promises, and what it costs: SQLite and a PostgreSQL of our own, on this machine.

    python -m benchmarks.traffic [--only PART ...] [--project DIR] [--json FILE] [--seed N] [--requests N] ...

The parts: `truth` (each row says what was sent and answered), `kill` (kill -9 and SIGTERM under load), `outage`
(PostgreSQL away under load), `cost` (throughput with the log on and off), `shipping` (records a second from a full
outbox) and `millions` (questions to a long log). The exit status is 1 where an exchange was lost, doubled or changed
or a request failed; a bar of speed that is not reached is only said.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path

from benchmarks.parts import add_sizes, printed
from benchmarks.service import champions
from benchmarks.service.report import machine
from benchmarks.service.servers import end_in_order_on_signals
from benchmarks.traffic import cost, kill, millions, outage, shipping, truth
from benchmarks.traffic.findings import Findings
from benchmarks.traffic.postgresql import running_postgresql
from benchmarks.traffic.sites import Sites
from benchmarks.traffic.sizes import Sizes

PARTS: dict[str, Callable[[Sites, Sizes], Findings]] = {
    "truth": truth.measure,
    "kill": kill.measure,
    "outage": outage.measure,
    "cost": cost.measure,
    "shipping": shipping.measure,
    "millions": millions.measure,
}


def main() -> None:
    """Measure, print, and end with 1 if a promise was broken."""
    given = arguments()
    end_in_order_on_signals()
    sizes = Sizes(**{each.name: getattr(given, each.name) for each in fields(Sizes)})
    with tempfile.TemporaryDirectory(prefix="bench-traffic-") as name:
        folder = Path(name)
        champion = champions.champion_of(given.project, folder)
        with running_postgresql(folder / "postgresql") as postgresql:
            found = [
                printed(part, partial(PARTS[part], Sites(folder / part, champion, postgresql), sizes))
                for part in given.only
            ]
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
    add_sizes(asked, Sizes)
    return asked.parse_args()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped; everything that was started has ended")
