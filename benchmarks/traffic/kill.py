"""Part `kill`: what a client received is in the log, whenever its worker, or all of it, is killed or told to end."""

import random
import time
from bisect import bisect
from itertools import pairwise

import psutil

from benchmarks.service.bodies import default_stones
from benchmarks.service.servers import START_SECONDS, Server, family, free_port, is_ready
from benchmarks.traffic.audit import missing_or_doubled
from benchmarks.traffic.client import asking
from benchmarks.traffic.findings import Findings
from benchmarks.traffic.mix import mix
from benchmarks.traffic.receipts import Receipts
from benchmarks.traffic.sites import Site, Sites
from benchmarks.traffic.sizes import Sizes

DIFFERENT = 2_000
#: Between these it is drawn how long the service runs under load before it is killed.
LEAST_SECONDS, MOST_SECONDS = 0.1, 1.5
#: BentoML's word for the process that answers.
WORKER = "_bentoml_impl.worker.service"


def measure(sites: Sites, sizes: Sizes) -> Findings:
    """Kill services of both databases, half of the times each, and end one in order."""
    findings, chance = Findings("kill"), random.Random(sizes.seed)  # noqa: S311 - nothing here is secret
    for site in sites.both():
        kill_again_and_again(site, sizes, chance, findings)
    for site in sites.both():
        end_in_order(site, sizes, chance, findings)
    return findings


def kill_again_and_again(site: Site, sizes: Sizes, chance: random.Random, findings: Findings) -> None:
    """Kill the worker and the whole service in turn, and compare the rows once all has been shipped."""
    kills: list[int] = []
    port = free_port()
    with site.log() as log:
        with asking(requests(sizes), port, is_patient=True) as clients:
            while len(kills) < sizes.kills // 2:
                with site.serving(port) as server:
                    kills.append(kill_worker(server, chance))
                    if len(kills) < sizes.kills // 2:
                        kills.append(kill_all(server, chance))
            with site.serving(port):
                run_a_while(chance)
                receipts = clients.end()
                log.answered = len(receipts.answers)
                seconds = log.wait()
        findings.add(f"{site.database}: answers received in full, {len(kills)} kills", log.answered, "answers")
        findings.add(f"{site.database}: answers cut off by a kill", receipts.broken, "answers")
        findings.add(f"{site.database}: until the last row was there", seconds, "s")
        findings.blame(site.database, missing_or_doubled(receipts.ids, log.ids(), receipts.broken))
        findings.blame(site.database, kills_without_load(receipts, kills))


def end_in_order(site: Site, sizes: Sizes, chance: random.Random, findings: Findings) -> None:
    """Tell the service to end, under load, and compare the rows at once."""
    with site.log() as log:
        with site.serving() as server, asking(requests(sizes), server.port) as clients:
            run_a_while(chance)
            server.process.terminate()
            began = time.monotonic()
            server.process.wait(START_SECONDS)
            seconds, rows = time.monotonic() - began, log.ids()
            receipts = clients.end()
        findings.add(f"{site.database}: answers received until SIGTERM", len(receipts.answers), "answers")
        findings.add(f"{site.database}: from SIGTERM to the end of the service", seconds, "s", most=10)
        problems = missing_or_doubled(receipts.ids, rows, receipts.broken)
        findings.blame(f"{site.database}, SIGTERM", problems)


def requests(sizes: Sizes) -> list[bytes]:
    """What is asked, a tenth of it bad."""
    return [request.as_bytes() for request in mix(default_stones(), DIFFERENT, sizes.seed, long=False)]


def run_a_while(chance: random.Random) -> None:
    """Let the load go on for a time that is drawn."""
    time.sleep(chance.uniform(LEAST_SECONDS, MOST_SECONDS))


def kill_worker(server: Server, chance: random.Random) -> int:
    """Kill the process that answers, and wait until another one does; answers when, on the monotonic clock."""
    run_a_while(chance)
    (before,) = workers(server)
    before.kill()
    killed = time.monotonic_ns()
    wait_for_another(server, before)
    return killed


def kill_all(server: Server, chance: random.Random) -> int:
    """Kill all processes of a service, the one that would start others first; answers when."""
    run_a_while(chance)
    for process in family(server.process):
        process.kill()
    return time.monotonic_ns()


def workers(server: Server) -> list[psutil.Process]:
    """The processes that answer."""
    return [process for process in family(server.process) if is_worker(process)]


def is_worker(process: psutil.Process) -> bool:
    """Whether this is a process that answers, and lives."""
    try:
        return WORKER in process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False


def wait_for_another(server: Server, before: psutil.Process) -> None:
    """Wait until another worker is ready.

    Raises:
        RuntimeError: There is none.
    """
    deadline = time.monotonic() + START_SECONDS
    while before.is_running() or not workers(server) or not is_ready(server.port):
        if time.monotonic() > deadline:
            raise RuntimeError("no worker was started in the place of one that was killed")
        time.sleep(0.05)


def kills_without_load(receipts: Receipts, kills: list[int]) -> list[str]:
    """Where nothing was answered between a kill and the one before it, it shows nothing."""
    moments = sorted(answer.ended for answer in receipts.answers)
    until = [bisect(moments, kill) for kill in kills]
    idle = [after for before, after in pairwise([0, *until]) if before == after]
    return [f"before {len(idle)} of {len(kills)} kills nothing was answered"] if idle else []
