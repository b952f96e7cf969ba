"""Two logistic regressions that learn from the same rows, straight and of degree 2, mixed by how they have predicted.

The weight of the second follows from both models' cumulative prequential log losses: it is the posterior probability
that a straight line is not enough, where both were held equally likely before.

The features are standardised by the first rows. These are kept until there are enough of them; until then, each sets
the scale anew and all of them are learned again. So a prediction is of the rows before it alone, and what is held is a
function of the rows and their order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diamonds.streams.science.adf import AssumedDensity
from diamonds.streams.science.calibration import Z95
from diamonds.streams.science.scores import NEAREST
from diamonds.streams.science.separation import Separation
from diamonds.streams.science.terms import Terms

Array = NDArray[np.float64]

STRAIGHT, BENT = 0, 1
#: Halvings that find the ends of an interval, on the scale of the logit, to the last digits.
_HALVINGS = 60


@dataclass(frozen=True)
class Prior:
    """Standard deviations of the coefficients of standardised features, and how quickly old rows fade."""

    intercept_sd: float
    slope_sd: float
    square_sd: float
    forget: float = 1.0

    def variances(self, features: int) -> Array:
        """Of both models, of shape (2, terms)."""
        products = features * (features - 1) // 2
        own = [self.intercept_sd**2] + [self.slope_sd**2] * features
        others = features + products
        return np.array([own + [0.0] * others, own + [self.square_sd**2] * others])


@dataclass(frozen=True)
class Told:
    """The probability of a yes, and the interval that holds it with 95 %, by what is not known of the coefficients."""

    probability: float
    low: float
    high: float


class Twins:
    """Both models, and what each has lost so far.

    Attributes:
        features: How many there are.
        terms: The scale of the features.
        density: The posteriors.
        separation: Whether a line parts yes from no.
        losses: The cumulative log loss of each model, in nats.
    """

    def __init__(self, features: int, prior: Prior, first_rows: int) -> None:
        """Nothing was learned yet; the scale is that of the first so many rows."""
        self.features, self.prior, self._first_rows = features, prior, first_rows
        self.terms = Terms([0.0] * features, [1.0] * features)
        self.density, self.separation = self._blank(), Separation()
        self.losses = [0.0, 0.0]
        self._first: list[tuple[list[float], bool]] | None = []

    @property
    def weight(self) -> float:
        """Of the model of degree 2 in the mixture."""
        straight, bent = self.losses
        return 1 / (1 + math.exp(min(bent - straight, 700.0)))

    def learn(self, values: list[float], outcome: bool) -> float:  # noqa: FBT001 - what came
        """Learn from a row; gives the probability of its outcome, from before that."""
        if self._first is None:
            chances = self._learn(values, outcome)
        else:
            chances = self.density.predict(self.terms.expand(values), outcome)[0]
            self._first.append((values, outcome))
            self._learn_first(self._first)
        chance = self._mixed(chances)
        for model, each in enumerate(chances):
            self.losses[model] -= math.log(max(each, NEAREST))
        return chance

    def predict(self, values: list[float]) -> Told:
        """What is believed of a row whose outcome is not known."""
        chances, means, variances = self.density.predict(self.terms.expand(values))
        deviations = [math.sqrt(variance) for variance in variances]
        low, high = (self._quantile(share, means, deviations) for share in (0.025, 0.975))
        return Told(self._mixed(chances), low, high)

    def raw(self, model: int) -> tuple[Array, Array]:
        """A model's coefficients on the features' own scale, and their covariance; the straight one has no squares."""
        size = 1 + self.features if model == STRAIGHT else len(self.terms)
        matrix = self.terms.to_raw()[:size, :size]
        return matrix @ self.density.mean[model, :size], matrix @ self.density.covariance[
            model, :size, :size
        ] @ matrix.T

    def dump(self) -> dict[str, Any]:
        """The first rows or, once there are enough, what was learned from them and all later ones."""
        if self._first is not None:
            return {"first": [[*values, outcome] for values, outcome in self._first], "losses": list(self.losses)}
        learned = {name: getattr(self, name).dump() for name in ("terms", "density", "separation")}
        return learned | {"losses": list(self.losses)}

    def load(self, document: Mapping[str, Any]) -> None:
        """Hold what `dump` gave."""
        self.losses = list(document["losses"])
        if "first" in document:
            self._first = [(values, outcome) for *values, outcome in document["first"]]
            self._learn_first(self._first)
        else:
            self._first, self.terms = None, Terms(**document["terms"])
            self.density, self.separation = self._blank(), Separation()
            self.density.load(document["density"])
            self.separation.load(document["separation"])

    def _learn(self, values: list[float], outcome: bool) -> list[float]:  # noqa: FBT001 - what came
        terms = self.terms.expand(values)
        self.separation.see(terms[: 1 + self.features], outcome)
        return self.density.learn(terms, outcome)

    def _blank(self) -> AssumedDensity:
        return AssumedDensity(self.prior.variances(self.features), self.prior.forget)

    def _learn_first(self, rows: list[tuple[list[float], bool]]) -> None:
        self.density, self.separation = self._blank(), Separation()
        if rows:
            self.terms = Terms.of([values for values, _ in rows])
        for values, outcome in rows:
            self._learn(values, outcome)
        if len(rows) >= self._first_rows:
            self._first = None

    def _mixed(self, chances: Sequence[float]) -> float:
        weight = self.weight
        return min((1 - weight) * chances[STRAIGHT] + weight * chances[BENT], 1.0)

    def _quantile(self, share: float, means: Sequence[float], deviations: Sequence[float]) -> float:
        """The probability that, by the mixture of both models' beliefs, lies above the true one with this chance."""
        low = min(mean - 10 * deviation for mean, deviation in zip(means, deviations, strict=True))
        high = max(mean + 10 * deviation for mean, deviation in zip(means, deviations, strict=True))
        weights = (1 - self.weight, self.weight)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            below = sum(
                weight * (1 + math.erf((middle - mean) / (deviation * math.sqrt(2)))) / 2
                for weight, mean, deviation in zip(weights, means, deviations, strict=True)
            )
            low, high = (middle, high) if below < share else (low, middle)
        return 0.5 * (1 + math.tanh(low / 2))


def interval(estimate: float, se: float) -> tuple[float, float]:
    """The 95 % interval about an estimate."""
    return estimate - Z95 * se, estimate + Z95 * se
