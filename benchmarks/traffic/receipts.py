"""What a client remembers of the answers it received: the other half of the books."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple, Self


class Receipt(NamedTuple):
    """One answer that was received in full.

    Attributes:
        number: Of the request, counted from 0 on; requests are sent in turn, so its place among them is the rest.
        due: When it was to be sent, in nanoseconds of the monotonic clock.
        ended: When the last byte of its answer was there, likewise.
        status: Of the answer.
        request_id: In the body of the answer; empty if there is none.
        body: Of the answer; none where it was not to be kept.
    """

    number: int
    due: int
    ended: int
    status: int
    request_id: str
    body: str | None = None

    @property
    def milliseconds(self) -> float:
        """From when it was to be sent to the last byte of its answer."""
        return (self.ended - self.due) / 1e6


@dataclass
class Receipts:
    """All that the clients of one load received.

    Attributes:
        answers: Those received in full.
        broken: How many requests were sent whose answer did not come in full.
    """

    answers: list[Receipt] = field(default_factory=list)
    broken: int = 0

    def write(self, path: Path) -> None:
        """Write them to a file."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read them from a file."""
        found = json.loads(path.read_text())
        return cls([Receipt(*each) for each in found["answers"]], found["broken"])

    @property
    def ids(self) -> list[str]:
        """The id in each answer."""
        return [answer.request_id for answer in self.answers]

    @property
    def failed(self) -> int:
        """How many requests were not answered with 200."""
        return self.broken + sum(answer.status != 200 for answer in self.answers)

    def between(self, first: float, last: float) -> list[float]:
        """The milliseconds that those took that were to be sent between two moments of the clock, in nanoseconds."""
        return sorted(answer.milliseconds for answer in self.answers if first <= answer.due < last)


def per_second(received: Sequence[Receipt]) -> float:
    """How many answers came in a second."""
    if len(received) < 2:
        return 0.0
    ended = sorted(answer.ended for answer in received)
    return (len(ended) - 1) / ((ended[-1] - ended[0]) / 1e9)
