"""A fitted model with its band, its assumptions and its training stones: all that a quote needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from diamonds import models
from diamonds.effects import Explainer, Explanation, explanations, sampling
from diamonds.features import Proportions
from diamonds.intervals import ConformalBand
from diamonds.pricer.summary import TrainingSummary
from diamonds.schema import FEATURES, MEASUREMENTS, MEASURES, frame_of
from diamonds.stones import SortedStones

if TYPE_CHECKING:
    from sklearn.base import RegressorMixin


#: In dollars: no model quotes less, whatever it computes for a stone unlike those it has seen.
LEAST_PRICE = 1.0
#: In dollars: nor more, so that a stone of impossible measures has a price that can be written.
MOST_PRICE = MEASURES["price"].most
#: In dollars: a band that began at nothing would be endlessly wide.
LEAST_BOUND = 0.01


def dollars(estimator: RegressorMixin, stones: pd.DataFrame) -> pd.Series[float]:
    """What the estimator computes for completely described stones, in dollars, from `LEAST_PRICE` to `MOST_PRICE`."""
    return pd.Series(_dollars(estimator.predict, stones[list(FEATURES)]), index=stones.index, name="price")


def _dollars(predict: Callable[[pd.DataFrame], Any], stones: pd.DataFrame) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):  # what is endless is capped
        computed: NDArray[np.float64] = np.asarray(predict(stones), dtype=float)
    return computed.clip(LEAST_PRICE, MOST_PRICE)


def _log_price(estimator: RegressorMixin, stones: pd.DataFrame) -> NDArray[np.float64]:
    return np.log(dollars(estimator, stones).to_numpy())


class Quoted(NamedTuple):
    """The price of a stone and its band, in dollars and whole cents."""

    price: float
    low: float
    high: float

    def times(self, factor: float) -> Quoted:
        """The same in a market where all costs so many times as much; no price is beyond what one can be."""
        price = _cents(min(max(self.price * factor, LEAST_PRICE), MOST_PRICE))
        share = price / self.price
        return Quoted(price, max(_cents(self.low * share), LEAST_BOUND), _cents(self.high * share))


@dataclass(frozen=True)
class Pricer:
    """A fitted model, ready to quote.

    Attributes:
        name: The model's name, as in `models`.
        version: The run that made it; empty until it is saved.
        estimator: The fitted scikit-learn regressor, from stones to dollars.
        band: The band around the prices of stones that were measured.
        guessed_band: The band around those of whose size nothing is known.
        proportions: What is assumed of measurements that a caller leaves out.
        summary: What it was trained on.
        stones: The training stones.
        partly_band: The band around those of whose size some is known; None before pricers learned it, when the other
            two are put together.
    """

    name: str
    estimator: RegressorMixin
    band: ConformalBand
    guessed_band: ConformalBand
    proportions: Proportions
    summary: TrainingSummary
    stones: SortedStones
    version: str = ""
    partly_band: ConformalBand | None = None

    def price(self, stones: pd.DataFrame) -> pd.DataFrame:
        """Price stones whose missing measurements are NaN.

        Returns:
            A frame with the stones' index and the columns `price`, `low` and `high`, in dollars and whole cents:
            what is judged is what is quoted.
        """
        price = self._dollars(self.proportions.complete(stones[list(FEATURES)]))
        carat, guessed = stones["carat"].to_numpy(dtype=float), self.proportions.guesses(stones).to_numpy()
        bounds = price * np.choose(guessed, [band.factors_of(carat) for band in self._bands])
        cents = np.round(np.vstack([price, bounds]), 2)
        return pd.DataFrame(np.maximum(cents, LEAST_BOUND).T, columns=list(Quoted._fields), index=stones.index)

    def quote(self, stone: Mapping[str, Any]) -> Quoted:
        """Price one stone, whose missing measurements are None or absent: to the cent as `price` does, but sooner."""
        if self._quick is None:
            return self._quote_as_a_frame(stone)
        try:
            computed = self._quick.one(self.proportions.complete_one(stone))
        except ArithmeticError:
            return self._quote_as_a_frame(stone)
        price = min(max(computed, LEAST_PRICE), MOST_PRICE)
        low, high = self._bands[self.proportions.guesses_one(stone)].factors_of_one(stone["carat"])
        return Quoted(_cents(price), max(_cents(price * low), LEAST_BOUND), _cents(price * high))

    def _quote_as_a_frame(self, stone: Mapping[str, Any]) -> Quoted:
        return Quoted(*self.price(frame_of([stone])).to_numpy()[0].tolist())

    @cached_property
    def _bands(self) -> tuple[ConformalBand, ConformalBand, ConformalBand]:
        """Those of stones whose size is measured, partly known and unknown."""
        return self.band, self.partly_band or self.band.around(self.guessed_band), self.guessed_band

    @cached_property
    def _quick(self) -> models.Quick | None:
        """The model's quick way, if it has one for this estimator."""
        module = self._module
        return module.quick(self.estimator) if module and models.is_quick(module) else None

    @property
    def _module(self) -> models.ModelModule | None:
        return models.get(self.name) if self.name in models.available() else None

    def _dollars(self, complete: pd.DataFrame) -> NDArray[np.float64]:
        """What `dollars` says, the quick way where there is one for many stones."""
        many = self._quick and self._quick.many
        return _dollars(many or self.estimator.predict, complete)

    def explain(self, stones: pd.DataFrame) -> list[Explanation]:
        """Say how the price of each stone comes about; missing measurements are NaN.

        Each explanation's `price` is what `price` quotes; the usual price it begins with is the same for all stones.
        """
        if stones.empty:
            return []
        complete = self.proportions.complete(stones[list(FEATURES)])
        contributions = self._explainer(complete).raised_to(LEAST_PRICE)
        return explanations(complete, contributions, pd.Series(np.round(self._dollars(complete), 2)))

    @cached_property
    def _explainer(self) -> Explainer:
        """How the model is explained: in its own way, if it has one."""
        module = self._module
        own = module.explainer(self.estimator, self.stones) if module and models.is_explained(module) else None
        return own or sampling(partial(_log_price, self.estimator), self.stones)

    def assumed(self, stone: Mapping[str, Any]) -> list[str]:
        """The measurements of the stone that are missing, and so were estimated."""
        return [field for field in MEASUREMENTS if stone.get(field) is None]

    def outside(self, stone: Mapping[str, Any]) -> list[str]:
        """The features of the stone that lie beyond the training data, or contradict each other unlike any in it."""
        return self.summary.outside(stone)

    def outside_many(self, stones: pd.DataFrame) -> list[list[str]]:
        """The same for each of many stones, whose missing measurements are NaN."""
        return self.summary.outside_many(stones)


def _cents(dollars: float) -> float:
    """Rounded as `numpy.round` does: the nearest whole cent of the product, which Python's `round` does not take."""
    return round(dollars * 100) / 100
