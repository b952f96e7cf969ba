"""Millions of similar stones: what one worker takes, and what two of one machine take together.

The honest figure is the proportional set size (PSS): a page that n processes map counts 1/n for each. The resident set
(RSS) counts it for each as a whole, so that mapped tables look as if they were copied.
"""

import http.client
import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from benchmarks.scale.sizes import Sizes
from benchmarks.scale.workers import serving, with_parent, workers_of
from benchmarks.service import bodies, champions
from benchmarks.service.servers import family
from benchmarks.traffic.findings import Findings
from benchmarks.traffic.sites import Sites
from diamonds.pricer import load
from diamonds.schema import GRADES

#: How many times the memory of one worker two take at most.
MOST = 1.2
MIB = 1024
#: How many stones of each combination of grades are asked for, from the lightest to the heaviest.
ASKED_OF_EACH, NEAREST = 20, 100
ROLLUP = ("Rss", "Pss", "Pss_Anon", "Pss_File")


@dataclass(frozen=True)
class Memory:
    """What processes take, in MiB, added up.

    Attributes:
        workers: By the words of the kernel (`ROLLUP`): of the workers, and of the process that they were forked from.
        parent: Of that process alone; nothing where a worker is not forked.
        all: Of BentoML's supervisor too.
        table: The mapped stones alone, proportionally.
    """

    workers: Counter[str]
    parent: Counter[str]
    all: Counter[str]
    table: float

    @property
    def own(self) -> float:
        """What the workers take beside the table."""
        return self.workers["Pss"] - self.table


def measure(sites: Sites, sizes: Sizes) -> Findings:
    """Serve the table with one worker and with two."""
    findings = Findings("index")
    champions.publish_perturbed(bodies.default_stones(), sizes.stones, sites.champion)
    asked = queries(sites.champion)
    one, two = (of_service(sites, workers, asked) for workers in (1, 2))
    findings.add("stones", sizes.stones)
    findings.add("their table, of one worker", one.table, "MiB")
    findings.add("two workers beside one: the table", two.table / one.table, "times", most=MOST)
    findings.add("two workers beside one: whole workers", ratio("Pss", one.workers, two.workers), "times", most=MOST)
    findings.add("what one worker takes beside the table", one.own, "MiB")
    findings.add("what two workers take beside the table, their parent among them", two.own, "MiB")
    findings.add("two workers beside one: with the supervisor", ratio("Pss", one.all, two.all), "times")
    findings.add("two workers beside one: RSS, where shared pages count twice", ratio("Rss", one.workers, two.workers))
    for number, memory in ((1, one), (2, two)):
        shown = ", ".join(f"{name} {memory.workers[name]:,.0f}" for name in ROLLUP)
        parent = f"{memory.parent['Pss']:,.0f} of it the parent's, " if memory.parent else ""
        findings.remarks.append(
            f"{number}: {shown} MiB of workers, {parent}{memory.all['Pss']:,.0f} with the supervisor"
        )
    return findings


def ratio(name: str, one: Counter[str], two: Counter[str]) -> float:
    """How many times as much."""
    return two[name] / one[name]


def of_service(sites: Sites, workers: int, asked: list[str]) -> Memory:
    """What a service with so many workers takes, when each has found stones of all grades and all weights."""
    with serving(sites, workers) as rival:
        answering, processes = workers_of(rival.server), with_parent(rival.server)
        for process in answering:
            ask_until(process, rival.server.port, asked)
        parents = [each for each in processes if each not in answering]
        everyone = family(rival.server.process)
        return Memory(added(processes), added(parents), added(everyone), sum(map(mapped, processes)))


def queries(store: Path) -> list[str]:
    """Stones of all grades, the lightest, the heaviest and some between them; nothing stays mapped here."""
    known = load(next((store / "models/diamonds").glob("median-*"))).stones
    return [
        json.dumps(dict(zip(GRADES, grades, strict=True)) | {"carat": float(known.carats[place]), "n": NEAREST})
        for grades, (first, end) in known.spans().items()
        for place in np.unique(np.linspace(first, end - 1, ASKED_OF_EACH).astype(int)).tolist()
    ]


def ask_until(process: psutil.Process, port: int, texts: list[str]) -> None:
    """Ask on new connections until this process has one, and there for all of them."""
    for _ in range(1000):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        client.connect()
        time.sleep(0.05)
        if holds(process, client.sock.getsockname()[1]):
            for text in texts:
                client.request("POST", "/similar", text, {"Content-Type": "application/json"})
                answer = client.getresponse()
                if answer.status != http.client.OK or not answer.read():
                    raise RuntimeError(f"/similar answered {answer.status}")
            client.close()
            return
        client.close()
    raise RuntimeError(f"no connection came to worker {process.pid}")


def holds(process: psutil.Process, port: int) -> bool:
    """Whether the process has a connection from this port."""
    return any(each.raddr and each.raddr.port == port for each in process.net_connections("tcp"))


def added(processes: list[psutil.Process]) -> Counter[str]:
    """What the kernel says of each, added up, in MiB."""
    total: Counter[str] = Counter()
    for process in processes:
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()[1:]:
            name, _, kib = line.partition(":")
            total[name] += int(kib.split()[0]) / MIB  # type: ignore[assignment]
    return total


def mapped(process: psutil.Process) -> float:
    """The pages of the table that this process has mapped, proportionally, in MiB."""
    total, inside = 0, False
    for line in Path(f"/proc/{process.pid}/smaps").read_text().splitlines():
        if "-" in line.partition(" ")[0]:
            inside = line.endswith((".npy", ".npy (deleted)"))
        elif inside and line.startswith("Pss:"):
            total += int(line.split()[1])
    return total / MIB
