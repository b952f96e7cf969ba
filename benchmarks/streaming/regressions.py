"""Part `regressions`: how exact they are beside other ways to sum, how often watching deceives, when verdicts come."""

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.streaming.precision import NAMES, precision
from benchmarks.traffic.findings import Findings
from diamonds.streams.feeding.generators import CHAIN, PROCESSES, employees
from diamonds.streams.learners.moments import MomentsLearner
from diamonds.streams.science.inference import Slope
from diamonds.streams.science.verdict import Kind, Links

#: Standard errors to each side of an ordinary 95 % interval.
ORDINARY = 1.96
PAGE = 10


def measure(*, quick: bool) -> Findings:
    """Compare with exact fits, and watch seeded streams whose truth is known."""
    findings = Findings("regressions")
    precision(findings, rows=2_000 if quick else 20_000)
    false_alarms(findings, streams=60 if quick else 400, rows=1_000 if quick else 5_000)
    verdicts(findings, streams=60 if quick else 300, rows=2_000 if quick else 10_000)
    cost(findings, rows=20_000 if quick else 200_000)
    wrong = [f"{each.what} is {each.value:g} {each.unit}" for each in findings.figures if each.is_reached is False]
    findings.blame("bars", [each for each in wrong if "µs" not in each])
    return findings


def false_alarms(findings: Findings, streams: int, rows: int) -> None:
    """How many streams without a link overall seem to have one, at any look after a page."""
    alarms = {"watching": 0, "ordinary": 0, "ordinary, only at the end": 0}
    for seed in range(streams):
        told(f"false alarms, stream {seed}", seed)
        looks = list(looked(employees("sum", seed, 0, rows)))
        alarms["watching"] += any(excludes_zero(slope) for slope in looks)
        seen = [abs(slope.estimate) > ORDINARY * slope.se for slope in looks]
        alarms["ordinary"] += any(seen)
        alarms["ordinary, only at the end"] += seen[-1]
    share = {name: 100 * count / streams for name, count in alarms.items()}
    what = f"of {streams} streams of {rows:,} rows looked at after each page, falsely linked"
    findings.add(f"{what}: intervals for watching", share["watching"], "%", most=5)
    findings.add(f"{what}: ordinary intervals", share["ordinary"], "%")
    findings.add(f"{what}: ordinary intervals, only at the end", share["ordinary, only at the end"], "%")


def looked(rows: list[dict[str, Any]]) -> Iterator[Slope]:
    """The slope overall after each page."""
    learned = MomentsLearner(NAMES)
    for position, row in enumerate(rows, 1):
        learned.learn(row)
        if position % PAGE == 0 and (slope := learned.regressions().overall.slope(NAMES.feature)):
            yield slope


def excludes_zero(slope: Slope) -> bool:
    """Whether the interval for watching does; where there is none yet it does not."""
    low, high = slope.interval() or (-1.0, 1.0)
    return low > 0 or high < 0


def verdicts(findings: Findings, streams: int, rows: int) -> None:
    """When colliders are called so, and whether chains ever are."""
    first = sorted(reached("sum", seed, 1_000).get("collider", 10**9) for seed in range(streams))
    by_1000 = 100 * sum(row <= 1_000 for row in first) / streams
    findings.add(f"of {streams} sum streams, collider by 1,000 rows", by_1000, "%", least=95)
    findings.add("half of them by", first[streams // 2], "rows")
    chains = []
    for seed in range(streams):
        told(f"chains, stream {seed}", seed)
        chains.append(reached(CHAIN, seed, rows))
    findings.add(f"of {streams} chains, ever called a collider in {rows:,} rows", count(chains, "collider"), most=0)
    watched = streams // 10
    colliders = sum(any(kind is Kind.COLLIDER for kind in kinds(CHAIN, seed, rows)) for seed in range(watched))
    findings.add(f"of {watched} of them looked at every {PAGE} rows, ever called a collider", colliders, most=0)
    findings.add("of them, chain or fork at some time", 100 * count(chains, "chain or fork") / streams, "%")
    falsely = 100 * count(chains, "linked inside the groups") / streams
    findings.add("of them, ever falsely linked inside the groups", falsely, "%")
    for process in PROCESSES:
        found = [reached(process, seed, rows) for seed in range(20)]
        findings.add(f"{process}: of 20 streams, collider within {rows:,} rows", count(found, "collider"))


def reached(process: str, seed: int, rows: int) -> dict[str, int]:
    """By conclusion, the number of rows at which it was first reached."""
    learned = MomentsLearner(NAMES)
    for row in employees(process, seed, 0, rows):
        learned.learn(row)
    return {each["conclusion"]: each["row"] for each in learned.dump()["reached"]}


def kinds(process: str, seed: int, rows: int) -> Iterator[Kind]:
    """The verdict after each page, as the page shows it; the learner itself looks more rarely later on."""
    learned = MomentsLearner(NAMES)
    for position, row in enumerate(employees(process, seed, 0, rows), 1):
        learned.learn(row)
        if position % PAGE == 0:
            yield Links.of(learned.regressions()).kind


def count(found: list[dict[str, int]], conclusion: str) -> int:
    """In how many streams it was reached."""
    return sum(conclusion in each for each in found)


def cost(findings: Findings, rows: int) -> None:
    """What a row costs, and a report."""
    stream = employees("sum", 1, 0, rows)
    learned = MomentsLearner(NAMES)
    began = time.perf_counter()
    for row in stream:
        learned.learn(row)
    findings.add(f"to learn, of {rows:,} rows", (time.perf_counter() - began) / rows * 1e6, "µs a row", most=12)
    findings.add("to report", min(seconds(learned.report) for _ in range(20)) * 1e3, "ms")


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def told(what: str, number: int) -> None:
    """Say now and then where one is."""
    if number % 100 == 0:
        print(f"  {what}", file=sys.stderr)
