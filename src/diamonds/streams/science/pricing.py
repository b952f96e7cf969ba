"""What a learner may compare prices with: the champion, as much of it as a learner knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

from diamonds.streams.learners import Learner, build
from diamonds.streams.spec import FeedSpec


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


#: Gives the champion of now; None where there is none.
Champion = Callable[[], Pricing | None]


@runtime_checkable
class Follower(Protocol):
    """A learner that compares prices with the champion's."""

    def follow(self, champion: Champion) -> None:
        """Compare with whoever is champion, now and at each look."""

    def look(self) -> None:
        """Take the champion of now; between two batches, for it may take a moment."""


def following(
    champion: Champion, make_learners: Callable[[FeedSpec], dict[str, Learner]] = build
) -> Callable[[FeedSpec], dict[str, Learner]]:
    """What makes the learners of a feed, those among them that follow the champion following this one."""

    def made(spec: FeedSpec) -> dict[str, Learner]:
        learners = make_learners(spec)
        for learner in learners.values():
            if isinstance(learner, Follower):
                learner.follow(champion)
        return learners

    return made


def look(learners: Iterable[Learner]) -> None:
    """Let those among the learners that follow the champion see whether it is another; before each batch."""
    for learner in learners:
        if isinstance(learner, Follower):
            learner.look()
