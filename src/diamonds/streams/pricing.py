"""What a learner may compare prices with: the champion, as much of it as a learner knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable


class Priced(Protocol):
    """What a stone is priced at."""

    @property
    def price(self) -> float:
        """In dollars, more than 0."""


class Pricing(Protocol):
    """A model that prices stones; `pricer.Pricer` is one."""

    @property
    def name(self) -> str:
        """The model's name."""

    @property
    def version(self) -> str:
        """The run that made it."""

    def quote(self, stone: Mapping[str, Any], /) -> Priced:
        """Price one stone."""


@runtime_checkable
class Follower(Protocol):
    """A learner that compares prices with the champion's."""

    def follow(self, champion: Pricing | None) -> None:
        """Compare with this champion from the next row on; with None, learn nothing."""


def follow(learners: Iterable[object], champion: Pricing | None) -> None:
    """Tell all learners that follow the champion which that is."""
    for learner in learners:
        if isinstance(learner, Follower):
            learner.follow(champion)
