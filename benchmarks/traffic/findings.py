"""What each part found: figures, the bars they are read against, and promises that were broken."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One figure; it is read against `most` or `least`, if there is either. None was not measured."""

    what: str
    value: float | None
    unit: str = ""
    most: float | None = None
    least: float | None = None

    @property
    def is_reached(self) -> bool | None:
        """Whether the bar is reached; None if there is none."""
        if self.most is None and self.least is None:
            return None
        if self.value is None:
            return False
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)

    def line(self) -> str:
        """As it is shown: whether the bar is reached, the figure, what it is, and the bar."""
        reached = {True: "yes", False: "no", None: ""}[self.is_reached]
        shown = "not measured" if self.value is None else f"{self.value:,.{0 if self.value >= 1000 else 2}f}"
        words = [("at most", self.most), ("at least", self.least)]
        bars = "".join(f", {word} {bar:,g}" for word, bar in words if bar is not None)
        return f"{reached:5}{shown.removesuffix('.00'):>12} {self.unit:12}{self.what}{bars}"


@dataclass
class Findings:
    """All that one part found.

    Attributes:
        part: Its name.
        figures: What was measured.
        problems: What was lost, doubled, changed or failed.
        remarks: What else is to be known of the figures.
    """

    part: str
    figures: list[Figure] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def add(
        self,
        what: str,
        value: float | None,
        unit: str = "",
        *,
        most: float | None = None,
        least: float | None = None,
    ) -> None:
        """Add a figure."""
        self.figures.append(Figure(what, value, unit, most, least))

    def blame(self, who: str, problems: Iterable[str]) -> None:
        """Add what is wrong with somebody."""
        self.problems += [f"{self.part}, {who}: {problem}" for problem in problems]

    def table(self) -> str:
        """A line for each figure, and what went wrong."""
        return "\n".join(
            [
                f"\n{self.part}",
                *(figure.line() for figure in self.figures),
                *(f"     {remark}" for remark in self.remarks),
                *(f"FAILED {problem}" for problem in self.problems),
            ]
        )

    def as_json(self) -> dict[str, Any]:
        """Everything that the table says."""
        figures = [asdict(figure) | {"reached": figure.is_reached} for figure in self.figures]
        return asdict(self) | {"figures": figures}
