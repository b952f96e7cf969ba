"""What was learned from feeds, as far as those who serve need to know: the checkpoint, read and never written here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from diamonds.store.tables import StreamCheckpoint


@dataclass(frozen=True)
class MarketIndex:
    """How far a market has moved from a model's prices, as it was committed last.

    Attributes:
        model: Whose prices it was learned beside.
        version: Of that model.
        index: By how much prices are above the model's: 1.02 is 2 %.
        low: Lower end of its 95 % interval, which stays valid while it is watched.
        high: Upper end.
        offered: Whether prices are to be multiplied by it.
        retrain: Whether the model should be trained anew.
        rows: How many rows of the feed were seen.
        stones: How many of them since the model was followed.
    """

    model: str
    version: str
    index: float
    low: float
    high: float
    offered: bool
    retrain: bool
    rows: int
    stones: int


def market_index(engine: Engine, feed: str) -> MarketIndex | None:
    """The market index that was learned from a feed; None while there is none.

    Raises:
        SQLAlchemyError: The database is away.
    """
    with Session(engine) as session:
        by_learner = session.scalar(select(StreamCheckpoint.statistics).where(StreamCheckpoint.feed == feed)) or {}
    found = (_market_index(said) for said in by_learner.values() if said.get("champion"))
    return next((each for each in found if each is not None), None)


def _market_index(said: dict[str, Any]) -> MarketIndex | None:
    """What a learner of a market index says of itself; None of another learner."""
    if "market_index" not in said:
        return None
    numbers = {name: said[name] for name in ("low", "high", "offered", "retrain", "rows", "stones")}
    champion = said["champion"]
    return MarketIndex(champion["name"], champion["version"], index=said["market_index"], **numbers)
