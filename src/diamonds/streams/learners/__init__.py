"""The learners: a file each, found by its name, and all that the rest of the project asks of one."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypedDict, cast

from pydantic import BaseModel, ValidationError

from diamonds.errors import ConfigurationError
from diamonds.streams.spec import FeedSpec, Row

#: What is written into a checkpoint by `dump`; one of another schema is refused, and can be replayed.
STATE_SCHEMA = 2


class Coefficient(TypedDict):
    """One number that was learned, and how sure it is: `low` to `high` is the 95 % interval.

    Learners add fields of their own.
    """

    term: str
    estimate: float
    se: float
    low: float
    high: float


class Report(TypedDict):
    """What a learner says of itself at a moment; all of it is JSON, a number that is not known is None.

    It is written into each checkpoint; coefficients and scores into the history too.
    """

    coefficients: list[Coefficient]
    scores: dict[str, float | None]
    statistics: dict[str, Any]


class Gap(TypedDict):
    """One line of an audit: what was learned from the stream beside a fit to all stored rows at once."""

    what: str
    streamed: float
    batch: float
    gap: float
    unit: str  # of the gap: "standard errors", "relative", …


class Learner(Protocol):
    """Learns row by row; what it holds after any rows is a function of those rows and their order alone.

    Whoever learns predicts first: scores are of predictions made before the answer was seen (prequential).

    One whose state cannot be saved as data says `needs_replay = True`: its `dump` is there to be read, not loaded. Who
    opens a checkpoint, or goes back to one, has it learn all stored rows again, in their order, with `learn`. This
    takes as long as learning them did; only a learner that is deterministic is then as if it had never stopped.
    """

    def learn(self, row: Row) -> None:
        """Predict the row, score the prediction, then learn from it."""

    def answer(self, row: Row) -> dict[str, Any]:
        """What is predicted for a row whose target is not known, with its uncertainty, as JSON.

        Raises:
            UntaughtError: Nothing has been learned yet.
        """

    def dump(self) -> dict[str, Any]:
        """All that it holds, as JSON whose floats come back bit for bit."""

    def load(self, document: Mapping[str, Any]) -> None:
        """Hold what `dump` gave, and nothing else."""

    def report(self) -> Report:
        """What it has learned."""

    def view(self, recent: Sequence[Row]) -> dict[str, Any]:
        """What the page draws beside the report, as JSON: `recent` are the newest rows, the last one last."""

    def audit(self, rows: Iterator[Row]) -> list[Gap]:
        """What it holds beside a fit to all of the stored rows, in the order in which they were learned."""


class LearnerModule(Protocol):
    """A file of this folder."""

    Params: type[BaseModel]

    def build(self, params: Any, spec: FeedSpec) -> Learner:  # noqa: ANN401 - each module has its own
        """A learner that has learned nothing yet.

        Raises:
            ConfigurationError: The feed has no such columns.
        """


def available() -> list[str]:
    """The kinds of learners."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def build(spec: FeedSpec) -> dict[str, Learner]:
    """The learners of a feed by name, none of which has learned anything yet.

    Raises:
        ConfigurationError: An entry cannot be used; the message names it.
    """
    built = {}
    for name, entry in spec.learners.items():
        if entry.kind not in available():
            raise ConfigurationError(
                f"the learner {name} of {spec.name} is of kind {entry.kind}, which is not known;"
                f" known are {', '.join(available())}"
            )
        module = cast("LearnerModule", importlib.import_module(f"{__name__}.{entry.kind}"))
        try:
            params = module.Params.model_validate(entry.params)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
            raise ConfigurationError(f"the learner {name} of {spec.name} cannot be used: {wrong}") from error
        built[name] = module.build(params, spec)
    return built
