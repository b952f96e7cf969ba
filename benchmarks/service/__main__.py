"""How the service answers under load, beside a bare Starlette app (a) and a stock BentoML service (b).

    python -m benchmarks.service [--project DIR] [--rounds 3] [--seconds 5] [--json FILE] [--no-millions]

All run on this machine at once, one worker each, and are asked in turn, round by round: what else the machine does
meets all of them alike. The champion is trained for this, in a temporary folder, or is that of a trained project.
The exit status is 1 where a route answers other than 200 or an exchange is missing in the log; a bar that is not
reached is only said.
"""

import argparse
import json
import shutil
import sys
import tempfile
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.service import bodies, champions
from benchmarks.service.load import Job, Outcome, load
from benchmarks.service.log import TrafficLog
from benchmarks.service.report import (
    BARE,
    BATCH,
    FEW,
    MANY,
    PREDICT,
    PREDICT_MEASURED,
    SIMILAR,
    STOCK,
    Measurement,
    Report,
    machine,
)
from benchmarks.service.servers import Server, bentoml_serve, end_in_order_on_signals, running, running_diamonds

HERE = Path(__file__).parent
CONNECTIONS = (1, 16)
WARM_UP_SECONDS = 1
FEW_STONES, MANY_STONES = 5_000, 5_000_000


@dataclass
class Contender:
    """One kind of request, the server that answers it, and its log if it keeps one."""

    name: str
    server: Server
    path: str
    bodies: list[str]
    stones: int = 1
    log: TrafficLog | None = None


@dataclass
class Course:
    """What has been measured so far, and what went wrong."""

    seconds: float
    rounds: int
    measurements: dict[tuple[str, int], Measurement] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    slowest_log: float = 0

    def run(self, contenders: list[Contender]) -> None:
        """Measure all contenders, one after the other, round by round; one that cannot answer is a problem."""
        able = [contender for contender in contenders if set(self._ask(contender).statuses) == {"200"}]
        for number in range(self.rounds):
            for contender in able:
                for connections in CONNECTIONS:
                    print(f"round {number + 1}: {contender.name}, {connections} connections", file=sys.stderr)
                    self._measure(contender, connections)

    def _measure(self, contender: Contender, connections: int) -> None:
        key = (contender.name, connections)
        measurement = self.measurements.setdefault(key, Measurement(*key, contender.stones))
        measurement.rounds.append(self._ask(contender, connections, WARM_UP_SECONDS, self.seconds))

    def _ask(self, contender: Contender, connections: int = 1, warm_up: float = 0, seconds: float = 0) -> Outcome:
        job = Job(contender.server.port, contender.path, contender.bodies, connections, warm_up, seconds)
        outcome = load(job)
        if contender.log is not None:
            contender.log.answered += outcome.answered
            self.slowest_log = max(self.slowest_log, contender.log.wait())
        if set(outcome.statuses) != {"200"}:
            self.problems.append(
                f"{contender.name}: POST {contender.path} answered {outcome.statuses}: {outcome.refusal}"
            )
        return outcome


def main() -> None:
    """Measure, print, and end with 1 if something was not as it should be."""
    given = arguments()
    end_in_order_on_signals()
    course = Course(given.seconds, given.rounds)
    with tempfile.TemporaryDirectory(prefix="bench-service-") as folder:
        memory = measure_service(course, Path(folder), given.project)
        if given.millions:
            memory |= measure_millions(course, Path(folder))
    report = Report(course.measurements)
    show(report, memory, course)
    if given.json:
        facts = {"machine": machine(), "peak_mib": memory, "log_behind_seconds": course.slowest_log}
        given.json.write_text(json.dumps(facts | report.as_json() | {"problems": course.problems}, indent=1) + "\n")
    sys.exit(1 if course.problems else 0)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--project", type=Path, help="a trained project whose champion is served; it is not changed")
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--seconds", type=float, default=5, help="that each measurement lasts, after a warm-up")
    asked.add_argument("--json", type=Path, help="a file to write all figures to")
    asked.add_argument(
        "--no-millions", dest="millions", action="store_false", help="leave out /similar over 5 million stones"
    )
    return asked.parse_args()


def measure_service(course: Course, folder: Path, project: Path | None) -> dict[str, float]:
    """Measure (a), (b) and the service with a champion; answers the peak memory of each in MiB."""
    served = folder / "served"
    if project is None:
        print("training a champion", file=sys.stderr)
        champions.train(folder / "trained")
        project = folder / "trained"
    champions.publish_champion_of(project, served)
    with ExitStack() as servers:
        bare = servers.enter_context(running([str(HERE / "bare.py"), "{port}"], make(folder / "bare")))
        stock = servers.enter_context(running_stock(make(folder / "stock")))
        with running_diamonds(served) as ours:
            log = TrafficLog.of_project(served)
            course.run(contenders(bare, stock, ours, log))
            memory = {"a": bare.peak_mib, "b": stock.peak_mib, "c": ours.peak_mib}
    check_log(course, "c", log)
    return memory


def contenders(bare: Server, stock: Server, ours: Server, log: TrafficLog) -> list[Contender]:
    """All kinds of requests, in the order in which each round asks them."""
    stones = bodies.default_stones()
    measured = bodies.measured(stones)
    return [
        Contender(BARE, bare, "/answer", measured),
        Contender(STOCK, stock, "/untyped_answer", measured),
        Contender("b stock, typed in and out", stock, "/typed_answer", measured),
        Contender(PREDICT, ours, "/predict", bodies.four_cs(stones), log=log),
        Contender(PREDICT_MEASURED, ours, "/predict", measured, log=log),
        Contender(SIMILAR, ours, "/similar", bodies.queries(stones), log=log),
        Contender(BATCH, ours, "/predict/batch", bodies.batches(stones), bodies.BATCH, log),
    ]


def measure_millions(course: Course, folder: Path) -> dict[str, float]:
    """Measure /similar of two services that differ in the number of their stones alone; answers their peak memory."""
    stones = bodies.default_stones()
    asked = bodies.queries(stones)
    with ExitStack() as servers:
        rivals = []
        for name, size in ((FEW, FEW_STONES), (MANY, MANY_STONES)):
            print(f"making a service that knows {size:,} stones", file=sys.stderr)
            place = folder / f"of-{size}"
            champions.publish_perturbed(stones, size, place)
            server = servers.enter_context(running_diamonds(place))
            rivals.append(Contender(name, server, "/similar", asked, log=TrafficLog.of_project(place)))
        course.run(rivals)
        memory = {rival.name: rival.server.peak_mib for rival in rivals}
    for rival in rivals:
        if rival.log is not None:
            check_log(course, rival.name, rival.log)
    return memory


def check_log(course: Course, name: str, log: TrafficLog) -> None:
    """Compare the log of a service that has ended with what it answered."""
    rows = log.rows()
    print(f"{name}: {log.answered:,} requests answered, {rows:,} rows of traffic", file=sys.stderr)
    if rows != log.answered:
        course.problems.append(f"{name}: {log.answered:,} requests were answered, and traffic has {rows:,} rows")


def running_stock(folder: Path) -> AbstractContextManager[Server]:
    """BentoML as it comes, with a service that does nothing."""
    shutil.copy(HERE / "stock.py", folder)
    return running(bentoml_serve("stock:Stock"), folder, BENTOML_HOME=str(folder))


def make(folder: Path) -> Path:
    """The folder, made."""
    folder.mkdir()
    return folder


def show(report: Report, memory: dict[str, float], course: Course) -> None:
    """Print all figures, the bars beside theirs, and what went wrong."""
    print(f"\n{', '.join(f'{key} {value}' for key, value in machine().items())};", end=" ")
    print(f"medians of {course.rounds} rounds of {course.seconds:g} s")
    print(report.table())
    print(f"peak memory of each worker: {', '.join(f'{name} {mib:,.0f} MiB' for name, mib in memory.items())}")
    print(f"the log was complete at most {course.slowest_log:.1f} s after a measurement\n")
    for bar, figure, reached in report.bars():
        print(f"{'yes' if reached else 'no':5}{'not measured' if figure is None else f'{figure:,.2f}':>14}  {bar}")
    for problem in course.problems:
        print(f"\nFAILED {problem}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped; everything that was started has ended")
