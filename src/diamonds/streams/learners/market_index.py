"""How far the market has moved since the champion was trained: one number that its prices can be multiplied by.

The champion is not trained again: what is learned is where the log of price over the champion's price lies now, a level
that walks slowly. Where this belongs to a new champion, it begins anew with the next stone.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from statistics import median
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from diamonds.errors import UntaughtError
from diamonds.schema import FEATURES
from diamonds.streams.learners import Coefficient, Gap, Learner, Report
from diamonds.streams.science.level import Level
from diamonds.streams.science.price_scores import PriceScores
from diamonds.streams.science.pricing import Champion, Pricing
from diamonds.streams.science.stones import require_columns
from diamonds.streams.spec import FeedSpec, Row

#: An index that was learned from fewer stones is not offered.
FEWEST_STONES = 100
#: Of a normal distribution, 95 % lie so many standard deviations about the mean.
NORMAL_95 = 1.959963984540054
#: An audit looks at so many of the newest stones.
AUDITED = 500

WAITING = "waits for a champion to compare prices with: train one with `kedro run`"
#: What is said before any stone was compared.
UNDECIDED = dict.fromkeys(("market_index", "low", "high", "scatter")) | {
    "conditions": {}, "offered": False, "retrain": False, "note": f"The market index {WAITING}.",
}  # fmt: skip


class Params(BaseModel):
    """What the entry in `conf/base/streams.yml` may say.

    Attributes:
        walk: The variance that the market's level, in log dollars, gains with each stone.
        spread: How far off a new champion may be as it begins: a standard deviation, as a share of the price.
        retrain_beyond: The champion should be trained anew where the market has moved by more than this share.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    walk: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 1e-6
    spread: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.05
    retrain_beyond: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.1


def build(params: Params, spec: FeedSpec) -> Learner:
    """An index of a market that was not seen yet, which follows no champion yet.

    Raises:
        ConfigurationError: The feed gives no whole stones with their prices.
    """
    measures = [name for name in (*FEATURES, "price") if name not in {"cut", "color", "clarity"}]
    require_columns(spec, measures, "market_index")
    return MarketIndex(params)


class MarketIndex:
    """The level of prices beside the champion's, and whether multiplying by it has made the champion better."""

    def __init__(self, params: Params) -> None:
        """Follow nobody yet."""
        self._params = params
        self._follows: Champion = _nobody
        self._champion: Pricing | None = None
        self._rows = 0
        self._begin(None)

    def _begin(self, champion: Pricing | None) -> None:
        """Begin anew with the present row, which is the first that is compared with this champion."""
        self._of = (champion.name, champion.version) if champion else None
        self._since_row = self._rows if champion else None
        self._level = Level(self._params.walk, self._params.spread)
        self._with, self._without = PriceScores(), PriceScores()

    def follow(self, champion: Champion) -> None:
        """Compare with whoever is champion, now and at each look."""
        self._follows = champion
        self.look()

    def look(self) -> None:
        """Compare with the champion of now from the next row on; without one, learn nothing."""
        self._champion = self._follows()

    def learn(self, row: Row) -> None:
        """Price the stone as the champion does, with the index and without, score both, then learn from it."""
        self._rows += 1
        champion = self._champion
        if champion is None:
            return
        if self._of != (champion.name, champion.version):
            self._begin(champion)
        champions, actual = _log_price(champion, row), math.log(row["price"])
        self._with.add(champions + self._level.level, actual)
        self._without.add(champions, actual)
        self._level.see(actual - champions)

    def answer(self, row: Row) -> dict[str, Any]:
        """What the champion's price comes to in the market of this moment, and between what 95 of 100 such prices lie.

        Raises:
            UntaughtError: There is no champion, or no stone was compared with it yet.
        """
        champion = self._champion
        if champion is None:
            raise UntaughtError(f"the market index {WAITING}")
        if self._of != (champion.name, champion.version):
            raise UntaughtError(f"no stone was compared with {champion.name} {champion.version} yet")
        champions = _log_price(champion, row)
        half = NORMAL_95 * math.hypot(math.sqrt(self._level.variance), self._level.scatter)
        moved = champions + self._level.level
        low, price, high = (round(math.exp(moved + away), 2) for away in (-half, 0.0, half))
        return {
            "price": price, "low": low, "high": high, "champion_price": round(math.exp(champions), 2),
            "market_index": math.exp(self._level.level), "rows": self._level.rows,
        }  # fmt: skip

    def dump(self) -> dict[str, Any]:
        """All that it holds; the champion itself is not part of that, only which it was."""
        return {
            "rows": self._rows,
            "champion": self._named(),
            "since_row": self._since_row,
            "level": self._level.dump(),
            "with": self._with.dump(),
            "without": self._without.dump(),
        }

    def load(self, document: Mapping[str, Any]) -> None:
        """Hold what `dump` gave, and nothing else; who is followed stays."""
        self._rows, self._since_row = document["rows"], document["since_row"]
        of = document["champion"]
        self._of = (of["name"], of["version"]) if of else None
        self._level.load(document["level"])
        self._with.load(document["with"])
        self._without.load(document["without"])

    def report(self) -> Report:
        """The index with its interval, and whether and why it is offered to the price service."""
        return Report(
            coefficients=[self._coefficient()] if self._of else [],
            scores={"rows": self._level.rows} | self._with.report() | self._without.report("_without_index"),
            statistics=self._statistics(),
        )

    def view(self, recent: Sequence[Row]) -> dict[str, Any]:  # noqa: ARG002 - the page draws the history
        """Nothing: the page draws the index and its interval over time."""
        return {}

    def audit(self, rows: Iterator[Row]) -> list[Gap]:
        """The index beside the median of price over the champion's price among the newest stones."""
        champion = self._champion
        if champion is None or self._since_row is None or self._of != (champion.name, champion.version):
            return []
        newest = deque(islice(rows, self._since_row - 1, None), maxlen=AUDITED)
        ratio = median(row["price"] / champion.quote(_stone(row)).price for row in newest)
        index = math.exp(self._level.level)
        what = f"market index, beside the median of the newest {len(newest)} ratios"
        return [Gap(what=what, streamed=index, batch=ratio, gap=index / ratio - 1, unit="relative")]

    def _coefficient(self) -> Coefficient:
        index = math.exp(self._level.level)
        low, high = map(math.exp, self._level.interval)
        error = index * math.sqrt(self._level.variance)
        return Coefficient(term="market index", estimate=index, se=error, low=low, high=high)

    def _named(self) -> dict[str, str] | None:
        return {"name": self._of[0], "version": self._of[1]} if self._of else None

    def _statistics(self) -> dict[str, Any]:
        seen = {"rows": self._rows, "stones": self._level.rows, "since_row": self._since_row}
        return {"champion": self._named()} | seen | (self._verdict(self._of[0]) if self._of else UNDECIDED)

    def _verdict(self, champion: str) -> dict[str, Any]:
        """The index, and what is to be done with it."""
        low, high = self._level.interval
        is_better = self._with.recent_log_error < self._without.recent_log_error
        conditions = {
            f"at least {FEWEST_STONES} stones since this champion began": self._level.rows >= FEWEST_STONES,
            "its interval, valid while watching, excludes 1": low > 0 or high < 0,
            "the newest stones were priced better with it": is_better,
        }
        index, offered = math.exp(self._level.level), all(conditions.values())
        retrain = offered and abs(index - 1) > self._params.retrain_beyond
        return {
            "market_index": index, "low": math.exp(low), "high": math.exp(high),
            "scatter": self._level.scatter, "conditions": conditions, "offered": offered, "retrain": retrain,
            "note": _note(champion, index, offered=offered, retrain=retrain),
        }  # fmt: skip


def _nobody() -> None:
    """Who is champion where nobody is followed."""


def _note(champion: str, index: float, *, offered: bool, retrain: bool) -> str:
    """All of it in a sentence."""
    moved = f"Prices are {abs(index - 1):.1%} {'above' if index >= 1 else 'below'} what {champion} says"
    if retrain:
        return f"{moved}: train it anew with `kedro run`."
    if offered:
        return f"{moved}; its prices can be multiplied by {index:.3f}."
    return f"{moved}, which is not enough to say that the market moved: its prices stay as they are."


def _stone(row: Row) -> dict[str, Any]:
    """As the champion takes it; who asks for a price may leave measurements out."""
    return {field: row.get(field) for field in FEATURES}


def _log_price(champion: Pricing, row: Row) -> float:
    """What the champion says of a stone, in log dollars."""
    return math.log(champion.quote(_stone(row)).price)
