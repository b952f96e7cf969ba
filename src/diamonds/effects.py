"""Why a stone costs what it costs: a price taken apart into the effects of its features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from diamonds.schema import FEATURES
from diamonds.stones import SortedStones

Array = NDArray[np.float64]

#: How many training stones `sampling` compares a stone with.
BACKGROUND = 50
SEED = 42
#: Shares of equal size by weight are told from so many training stones as well as from more.
ENOUGH = 100_000
#: Stones that `sampling` explains by one call of the model, each by 16 rows for each stone of the background.
CHUNK = 20


@dataclass(frozen=True)
class Contributions:
    """What a model computes for each stone, as a sum over its features.

    Attributes:
        base: The usual price, in log dollars or dollars.
        effects: What each feature adds to it: a row a stone, the columns `FEATURES`.
        logarithmic: Whether the model's target is log dollars, and not dollars.
    """

    base: float
    effects: pd.DataFrame
    logarithmic: bool = True

    def raised_to(self, least: float) -> Contributions:
        """The same with no price below `least` dollars: what lowered it further did so for nothing, in proportion."""
        floor = float(np.log(least)) if self.logarithmic else least
        effects = self.effects.to_numpy(dtype=float)
        sums = effects.sum(axis=1)
        base = max(self.base, floor)
        raised = (self.base + sums < floor) | (self.base < floor)
        gaps = np.where(raised, np.maximum(self.base + sums, floor) - base - sums, 0.0)
        return Contributions(base, frame(_shrunk(effects, gaps), self.effects.index), self.logarithmic)


#: From completely described stones to log dollars.
LogPrice = Callable[[pd.DataFrame], Array]
#: From completely described stones to their contributions.
Explainer = Callable[[pd.DataFrame], Contributions]


@dataclass(frozen=True)
class Effect:
    """What one feature does to a price.

    Attributes:
        feature: One of `FEATURES`.
        value: What the stone has: a grade, or a number in the feature's unit, estimated where it was not given.
        factor: By how much it multiplies the price.
        usd: By how many dollars it changes the price, in whole cents.
    """

    feature: str
    value: str | float
    factor: float
    usd: float


@dataclass(frozen=True)
class Explanation:
    """A price and how it comes about.

    Attributes:
        base_price: The usual price in dollars, in whole cents.
        price: The price in dollars, as it is quoted.
        effects: One for each feature, the greatest first; the factors multiply `base_price` to `price`, the dollars
            add up to the difference of the two.
    """

    base_price: float
    price: float
    effects: tuple[Effect, ...]


def frame(effects: Array, index: pd.Index) -> pd.DataFrame:
    """Effects (stones by features) as a frame with these stones' index."""
    return pd.DataFrame(effects, columns=list(FEATURES), index=index)


def explanations(stones: pd.DataFrame, contributions: Contributions, prices: pd.Series[float]) -> list[Explanation]:
    """Say each stone's contributions both in factors and in dollars.

    Either follows from the other by the logarithmic mean of the two prices, so that nothing is left over (Ang, "The
    LMDI approach to decomposition analysis: a practical guide", Energy Policy 2005). What the model's own precision
    and whole cents leave open goes to the largest effect.

    Args:
        stones: With the columns `FEATURES`.
        contributions: Of these stones.
        prices: What is quoted for them, in dollars and whole cents.
    """
    price = np.asarray(prices, dtype=np.float64)
    base_price = round(float(np.exp(contributions.base) if contributions.logarithmic else contributions.base), 2)
    mean = _logarithmic_mean(price, base_price)
    effects = contributions.effects[list(FEATURES)].to_numpy(dtype=float)
    logs = _settled(effects if contributions.logarithmic else effects / mean[:, np.newaxis], np.log(price / base_price))
    cents = _settled(np.rint(100 * logs * mean[:, np.newaxis]), np.rint(100 * price) - np.rint(100 * base_price))
    values = stones[list(FEATURES)].astype(object).to_numpy()
    return [
        Explanation(base_price, quoted, _greatest_first(*each))
        for quoted, *each in zip(price.tolist(), values.tolist(), logs, cents, strict=True)
    ]


def importances(explained: list[Explanation]) -> pd.DataFrame:
    """How much each feature matters over these stones, the most first.

    Returns:
        A row for each of `FEATURES`: `share`, the mean size of its effect as a fraction of the price, and `usd`, the
        same in dollars.
    """
    effects = pd.DataFrame([vars(effect) for each in explained for effect in each.effects])
    sizes = effects[["factor"]].transform(np.log).assign(usd=effects["usd"]).abs()
    means = sizes.groupby(effects["feature"]).mean().reindex(list(FEATURES))
    found = pd.DataFrame({"share": np.expm1(means["factor"]), "usd": means["usd"]})
    return found.sort_values("share", ascending=False, kind="stable")


def sampling(log_price: LogPrice, training: SortedStones) -> Explainer:
    """Shapley values of any model, by comparing stones with some of the training stones.

    From each of these one walks to the stone that is explained, taking over one feature after the other, in a random
    order and in its reverse; an effect is the mean change at its feature's turn. Whatever the order, the changes add
    up to the whole difference. Sources: Štrumbelj and Kononenko, "Explaining prediction models and individual
    predictions with feature contributions", Knowledge and Information Systems 2014; the reversed orders: Mitchell,
    Cooper, Frank and Holmes, "Sampling permutations for Shapley value estimation", JMLR 2022.

    Args:
        log_price: The model, from completely described stones to log dollars.
        training: The stones that the model has learned from. `BACKGROUND` of them are drawn, one of each share of
            equal size by weight, so that few stones stand for all; of more than `ENOUGH` stones, those are a sample.
    """
    rng, known = np.random.default_rng(SEED), training.sample(ENOUGH, SEED)
    by_weight = np.array_split(np.argsort(known["carat"].to_numpy(), kind="stable"), min(BACKGROUND, len(known)))
    background = known[list(FEATURES)].iloc[[rng.choice(share) for share in by_weight]]
    orders = rng.permuted(np.tile(np.arange(len(FEATURES)), (len(background), 1)), axis=1)
    return _Walks(log_price, background, log_price(background), np.vstack([orders, orders[:, ::-1]]))


@dataclass(frozen=True)
class _Walks:
    """Walks from background stones to the stones that are explained: twice as many as there are background stones.

    Attributes:
        log_price: The model.
        background: Where the walks begin.
        starts: What the model computes there.
        orders: The places of the features in `FEATURES`, in the order of each walk.
    """

    log_price: LogPrice
    background: pd.DataFrame
    starts: Array
    orders: NDArray[np.int64]

    def __call__(self, stones: pd.DataFrame) -> Contributions:
        """The contributions to the log price of each stone."""
        chunks = (stones.iloc[first : first + CHUNK] for first in range(0, len(stones), CHUNK))
        effects = np.vstack([np.empty((0, len(FEATURES))), *map(self._effects, chunks)])
        return Contributions(float(self.starts.mean()), frame(effects, stones.index))

    def _effects(self, stones: pd.DataFrame) -> Array:
        """The mean change of the log price at each feature's turn (stones by features)."""
        turns = np.argsort(self.orders, axis=1)
        asked = pd.concat([stones[list(FEATURES)], self._between(stones, turns)], ignore_index=True)
        ends, between = np.split(self.log_price(asked), [len(stones)])
        begins = np.tile(self.starts, 2)[:, np.newaxis]
        changes = [
            np.diff(steps, prepend=begins, append=end)
            for steps, end in zip(between.reshape(len(stones), len(turns), -1), ends, strict=True)
        ]
        return np.array([np.take_along_axis(change, turns, axis=1).mean(axis=0) for change in changes])

    def _between(self, stones: pd.DataFrame, turns: NDArray[np.int64]) -> pd.DataFrame:
        """The stones between the ends of each walk: a row for each explained stone, walk and step."""
        pool = pd.concat([self.background, stones[list(FEATURES)]], ignore_index=True)
        ours = len(self.background) + np.arange(len(stones))[:, np.newaxis, np.newaxis]
        theirs = np.tile(np.arange(len(self.background)), 2)[:, np.newaxis]
        steps = np.arange(1, len(FEATURES))
        places = {
            feature: np.where(turn[:, np.newaxis] < steps, ours, theirs).ravel()
            for feature, turn in zip(FEATURES, turns.T, strict=True)
        }
        return pd.DataFrame({feature: pool[feature].array.take(rows) for feature, rows in places.items()})


def _greatest_first(values: list[str | float], logs: Array, cents: Array) -> tuple[Effect, ...]:
    """The effects of one stone's features, the greatest first."""
    order = np.lexsort((-np.abs(logs), -np.abs(cents)))
    factors, usd = np.exp(logs).tolist(), (cents / 100).tolist()
    return tuple(Effect(FEATURES[place], values[place], factors[place], usd[place]) for place in order)


def _logarithmic_mean(price: Array, base_price: float) -> Array:
    """How many dollars a unit of log price is worth between the two prices; the price itself where they are equal."""
    return np.divide(price - base_price, np.log(price / base_price), out=price.copy(), where=price != base_price)


def _settled(effects: Array, totals: Array) -> Array:
    """The effects, the largest of each row changed so that the row adds up to its total."""
    rows, largest = np.arange(len(effects)), np.abs(effects).argmax(axis=1)
    settled = effects.copy()
    settled[rows, largest] += totals - effects.sum(axis=1)
    return settled


def _shrunk(effects: Array, gaps: Array) -> Array:
    """The effects, those against a row's gap shrunk in proportion so that the row's sum changes by the gap."""
    against = effects * np.sign(gaps)[:, np.newaxis] < 0
    overshoot = np.where(against, effects, 0.0).sum(axis=1)
    share = np.divide(gaps, overshoot, out=np.zeros_like(gaps), where=overshoot != 0)
    return np.where(against, effects * (1 + share[:, np.newaxis]), effects)
