"""A fitted model with its band, its assumptions and its training stones: all that a quote needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from diamonds import models
from diamonds.effects import Explainer, Explanation, explanations, sampling
from diamonds.features import Proportions
from diamonds.intervals import ConformalBand
from diamonds.schema import FEATURES, GRADES, MEASUREMENTS, MEASURES, contradictions

if TYPE_CHECKING:
    from sklearn.base import RegressorMixin


#: In dollars: no model quotes less, whatever it computes for a stone unlike those it has seen.
LEAST_PRICE = 1.0
#: In dollars: nor more, so that a stone of impossible measures has a price that can be written.
MOST_PRICE = MEASURES["price"].most


def dollars(estimator: RegressorMixin, stones: pd.DataFrame) -> pd.Series[float]:
    """What the estimator computes for completely described stones, in dollars, from `LEAST_PRICE` to `MOST_PRICE`."""
    with np.errstate(over="ignore"):  # what is endless is capped
        computed = np.asarray(estimator.predict(stones[list(FEATURES)]), dtype=float)
    return pd.Series(np.clip(computed, LEAST_PRICE, MOST_PRICE), index=stones.index, name="price")


def _log_price(estimator: RegressorMixin, stones: pd.DataFrame) -> NDArray[np.float64]:
    return np.log(dollars(estimator, stones).to_numpy())


@dataclass(frozen=True)
class TrainingSummary:
    """What a model was trained on.

    Attributes:
        data_fingerprint: Names the raw files' contents; two runs on the same files share it.
        rows: The number of training stones.
        params: The model's parameters, by name.
        ranges: The least and the greatest value of each number among the training stones.
    """

    data_fingerprint: str
    rows: int
    params: dict[str, Any]
    ranges: dict[str, tuple[float, float]]

    @classmethod
    def of(cls, stones: pd.DataFrame, params: dict[str, Any], data_fingerprint: str) -> TrainingSummary:
        """The summary of a training on these stones."""
        numbers = [column for column in FEATURES if column not in GRADES]
        ranges = {column: (float(stones[column].min()), float(stones[column].max())) for column in numbers}
        return cls(data_fingerprint, len(stones), params, ranges)


@dataclass(frozen=True)
class Pricer:
    """A fitted model, ready to quote.

    Attributes:
        name: The model's name, as in `models`.
        version: The run that made it; empty until it is saved.
        estimator: The fitted scikit-learn regressor, from stones to dollars.
        band: The band around the prices of stones that were measured.
        guessed_band: The band around those whose size or height is estimated from what is usual.
        proportions: What is assumed of measurements that a caller leaves out.
        summary: What it was trained on.
        stones: The training stones, columns as in `schema.COLUMNS`.
    """

    name: str
    estimator: RegressorMixin
    band: ConformalBand
    guessed_band: ConformalBand
    proportions: Proportions
    summary: TrainingSummary
    stones: pd.DataFrame
    version: str = ""

    def price(self, stones: pd.DataFrame) -> pd.DataFrame:
        """Price stones whose missing measurements are NaN.

        Returns:
            A frame with the stones' index and the columns `price`, `low` and `high`, in dollars and whole cents:
            what is judged is what is quoted.
        """
        complete = self.proportions.complete(stones[list(FEATURES)])
        price = dollars(self.estimator, complete)
        guessed = self.proportions.guesses(stones)
        narrow = self.band.bounds(stones["carat"], price)
        wide = self.guessed_band.bounds(stones["carat"], price)
        low, high = (of_guessed.where(guessed, measured) for measured, of_guessed in zip(narrow, wide, strict=True))
        quoted = pd.DataFrame({"price": price, "low": low, "high": high}).round(2)
        return quoted.clip(lower=0.01)  # a band that began at nothing would be endlessly wide

    def explain(self, stones: pd.DataFrame) -> list[Explanation]:
        """Say how the price of each stone comes about; missing measurements are NaN.

        Each explanation's `price` is what `price` quotes; the usual price it begins with is the same for all stones.
        """
        if stones.empty:
            return []
        complete = self.proportions.complete(stones[list(FEATURES)])
        contributions = self._explainer(complete).raised_to(LEAST_PRICE)
        return explanations(complete, contributions, dollars(self.estimator, complete).round(2))

    @cached_property
    def _explainer(self) -> Explainer:
        """How the model is explained: in its own way, if it has one."""
        training = self.stones[list(FEATURES)]
        module = models.get(self.name) if self.name in models.available() else None
        own = module.explainer(self.estimator, training) if module and models.is_explained(module) else None
        return own or sampling(partial(_log_price, self.estimator), training)

    def assumed(self, stone: Mapping[str, Any]) -> list[str]:
        """The measurements of the stone that are missing, and so were estimated."""
        return [field for field in MEASUREMENTS if stone.get(field) is None]

    def outside(self, stone: Mapping[str, Any]) -> list[str]:
        """The features of the stone that lie beyond the training data, or that contradict its weight grossly."""
        given = {field: stone[field] for field in FEATURES if stone.get(field) is not None}
        beyond = {
            field
            for field, (least, most) in self.summary.ranges.items()
            if field in given and not least <= given[field] <= most
        }
        sizes = pd.DataFrame([{size: given.get(size, np.nan) for size in ("carat", "x", "y", "z")}])
        clashing = contradictions(sizes).iloc[0]
        return [field for field in FEATURES if field in beyond or clashing.get(field, False)]
