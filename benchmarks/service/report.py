"""The figures: what each round measured, the medians of all rounds, and the bars they are read against."""

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.service.load import Outcome

#: The two that the service is read against, by the names of their measurements.
BARE, STOCK = "a bare Starlette", "b stock, typed in"
PREDICT, PREDICT_MEASURED, SIMILAR, BATCH = (
    "c /predict, four Cs",
    "c /predict, measured",
    "c /similar, n = 5",
    "c /predict/batch",
)
FEW, MANY = "/similar of 5 thousand", "/similar of 5 million"


@dataclass
class Measurement:
    """One kind of request at one number of connections, as each round measured it.

    Attributes:
        name: Who answers, and what.
        connections: How many ask at once.
        stones: How many a request holds.
        rounds: What each round measured.
    """

    name: str
    connections: int
    stones: int = 1
    rounds: list[Outcome] = field(default_factory=list)

    @property
    def requests_per_second(self) -> float:
        """The median over the rounds."""
        return median(rates(self))

    def median_of(self, value: Callable[[Outcome], float]) -> float:
        """The median over the rounds of what is looked at."""
        return median(map(value, self.rounds))


@dataclass(frozen=True)
class Report:
    """All measurements, by name and number of connections."""

    measurements: dict[tuple[str, int], Measurement]

    def ratio(self, name: str, to: str, connections: int) -> float | None:
        """How many times the requests of another this one answers: the median over the rounds; None if not measured."""
        pair = [self.measurements.get((each, connections)) for each in (name, to)]
        if not all(each and each.rounds for each in pair):
            return None
        ours, theirs = (rates(each) for each in pair if each)
        return median(a / b for a, b in zip(ours, theirs, strict=True))

    def value(self, name: str, connections: int, look: Callable[[Measurement], float]) -> float | None:
        """A figure of one measurement; None if it was not measured."""
        found = self.measurements.get((name, connections))
        return look(found) if found and found.rounds else None

    def table(self) -> str:
        """A line for each measurement."""
        head = f"{'':24}{'connections':>12}{'requests/s':>12}{'p50, ms':>10}{'p99, ms':>10}{'of a':>8}{'of b':>8}"
        lines = [_line(self, each) for each in self.measurements.values() if each.rounds]
        return "\n".join([f"{head}{'stones/s':>12}{'client':>8}", *lines])

    def bars(self) -> list[tuple[str, float | None, bool]]:
        """What is asked for, the figure, and whether it is reached; what was not measured is not."""
        many = 16
        predicts = [
            bar
            for name in (PREDICT, PREDICT_MEASURED)
            for bar in (
                _at_least(2, f"{name[2:]}: times b, 16 connections", self.ratio(name, STOCK, many)),
                _at_least(0.25, f"{name[2:]}: times a, 16 connections", self.ratio(name, BARE, many)),
                _at_most(3, f"{name[2:]}: p99 in ms, 1 connection", self.value(name, 1, p99)),
            )
        ]
        return [
            *predicts,
            _at_least(1.5, f"{SIMILAR[2:]}: times b, 16 connections", self.ratio(SIMILAR, STOCK, many)),
            _at_least(50_000, f"{BATCH[2:]}: stones/s, 16 connections", self.value(BATCH, many, stones_per_second)),
            *(
                _at_least(0.9, f"{MANY}: times that of 5 thousand, {connections} connections", ratio)
                for connections in (1, many)
                if (ratio := self.ratio(MANY, FEW, connections)) is not None
            ),
        ]

    def as_json(self) -> dict[str, Any]:
        """Everything that the table and the bars say."""
        return {
            "measurements": [_facts(self, each) for each in self.measurements.values() if each.rounds],
            "bars": [{"bar": bar, "figure": figure, "reached": reached} for bar, figure, reached in self.bars()],
        }


def rates(measurement: Measurement) -> list[float]:
    """The requests per second of each round."""
    return [outcome.requests / outcome.seconds for outcome in measurement.rounds]


def p99(measurement: Measurement) -> float:
    """In milliseconds, the median over the rounds."""
    return measurement.median_of(lambda outcome: outcome.p99_ms)


def stones_per_second(measurement: Measurement) -> float:
    """The median over the rounds."""
    return measurement.requests_per_second * measurement.stones


def machine() -> dict[str, str | int | None]:
    """What the figures were measured on."""
    return {"cores": os.cpu_count(), "system": platform.system(), "python": platform.python_version()}


def _facts(report: Report, measurement: Measurement) -> dict[str, Any]:
    return {
        "name": measurement.name,
        "connections": measurement.connections,
        "requests_per_second": measurement.requests_per_second,
        "p50_ms": measurement.median_of(lambda outcome: outcome.p50_ms),
        "p99_ms": p99(measurement),
        "of_bare": report.ratio(measurement.name, BARE, measurement.connections),
        "of_stock": report.ratio(measurement.name, STOCK, measurement.connections),
        "stones_per_second": stones_per_second(measurement),
        "client_load": measurement.median_of(lambda outcome: outcome.client_load),
        "requests_per_second_by_round": rates(measurement),
    }


def _line(report: Report, measurement: Measurement) -> str:
    facts = _facts(report, measurement)
    ratios = "".join(f"{'' if ratio is None else f'{ratio:.2f}':>8}" for ratio in (facts["of_bare"], facts["of_stock"]))
    return (
        f"{measurement.name:24}{measurement.connections:>12}{facts['requests_per_second']:>12,.0f}"
        f"{facts['p50_ms']:>10.2f}{facts['p99_ms']:>10.2f}{ratios}"
        f"{facts['stones_per_second']:>12,.0f}{facts['client_load']:>8.0%}"
    )


def _at_least(least: float, what: str, figure: float | None) -> tuple[str, float | None, bool]:
    return f"{what}, at least {least:g}", figure, figure is not None and figure >= least


def _at_most(most: float, what: str, figure: float | None) -> tuple[str, float | None, bool]:
    return f"{what}, at most {most:g}", figure, figure is not None and figure <= most
