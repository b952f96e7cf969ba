"""Bayesian logistic regression, a row at a time, by assumed-density filtering with full covariance.

After each row the posterior is replaced by the normal distribution of the same mean and covariance (Opper 1998, "A
Bayesian approach to on-line learning"; Graepel et al. 2010 for its use on streams). The likelihood of a row depends on
the coefficients through one number, its logit, so that the moments are those of one dimension: 32 points of
Gauss-Hermite quadrature give them.

Several models learn from the same terms in one calculation. A term that a model does not have is one whose coefficient
has the prior variance 0. Sums are of a fixed order and no BLAS is called: the same rows give the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

POINTS = 32
NODES, _weights = np.polynomial.hermite_e.hermegauss(POINTS)
WEIGHTS: Array = _weights / _weights.sum()
#: For the mass, the mean and the second moment of what lies on the nodes; of shape (3, 1, points).
_MOMENTS: Array = np.stack([WEIGHTS, WEIGHTS * NODES, WEIGHTS * NODES**2])[:, None, :]
#: exp() of more would overflow.
_LARGEST = 700.0
#: Where less than this is left of the mass, all nodes are where the likelihood of a logit s is exp(s).
_HOPELESS = 1e-290
#: A variance of a logit is never taken for less: rounding could make it 0.
_SMALLEST = 1e-12


class AssumedDensity:
    """Normal posteriors of the coefficients of several logistic regressions.

    Attributes:
        mean: Of the coefficients, of shape (models, terms).
        covariance: Of shape (models, terms, terms); symmetric to the last bit.
        meat: The sum of squared errors of prediction times xx' of the first model, for standard errors that do not
            trust the model (White 1980), of shape (terms, terms). Old rows fade twice as fast from it: what is summed
            are squares of what each row weighs.
    """

    def __init__(self, prior: Array, forget: float = 1.0) -> None:
        """Nothing was learned yet.

        Args:
            prior: Variances of the coefficients, of shape (models, terms); 0 where a model has no such term.
            forget: Before each row the covariance is divided by it, as far as the prior: below 1, old rows fade.
        """
        models, terms = prior.shape
        self._prior, self._forget = prior, forget
        self._places = [np.flatnonzero(variances) for variances in prior]
        self._own = (prior > 0).astype(np.float64)[0]  # which terms the first model has
        self.mean: Array = np.zeros((models, terms))
        self._squares: Array = np.zeros((models + 1, terms, terms))
        for model, variances in enumerate(prior):
            np.fill_diagonal(self._squares[model], variances)
        self.covariance: Array = self._squares[:models]
        self.meat: Array = self._squares[models]
        self._vectors: Array = np.zeros((2 * models, terms))
        self._outer: Array = np.zeros((models + 1, terms))

    def learn(self, terms: Array, outcome: bool) -> list[float]:  # noqa: FBT001 - what came
        """Learn from a row; gives the probability of its outcome by each model, from before that."""
        if self._forget < 1:
            self._fade()
        models, sign = len(self.mean), 1.0 if outcome else -1.0
        reach = np.add.reduce(self.covariance * terms, axis=2)  # the covariance of coefficients and logit
        means, variances = self._logits(reach, terms)
        mass, first, second = self._tilted(sign * means, variances)
        steps, shrinks = [], []
        for variance, share, shift, spread in zip(variances.tolist(), mass, first, second, strict=True):
            step, shrink = _moments(max(variance, _SMALLEST), share, shift, spread)
            steps.append((sign * step,))
            shrinks.append(((shrink,),))
        shrinks.append((((1 - mass[0]) ** 2,),))
        self.mean += reach * steps
        self._outer[:models] = reach
        self._outer[models] = terms * self._own
        self._squares += self._outer[:, :, None] * self._outer[:, None, :] * shrinks
        return mass

    def predict(
        self,
        terms: Array,
        outcome: bool = True,  # noqa: FBT001, FBT002 - what may come
    ) -> tuple[list[float], list[float], list[float]]:
        """The probability of an outcome by each model, and the mean and variance of its logit."""
        means, variances = self._logits(np.add.reduce(self.covariance * terms, axis=2), terms)
        chances = self._tilted(means if outcome else -means, variances)[0]
        return chances, means.tolist(), variances.tolist()

    def probabilities(self, model: int, terms: Array) -> Array:
        """The probability of a yes for many rows at once, by one model; `terms` is of shape (rows, terms)."""
        means = terms @ self.mean[model]
        variances = np.einsum("ri,ij,rj->r", terms, self.covariance[model], terms)
        nodes = np.sqrt(np.maximum(variances, _SMALLEST))[:, None] * -NODES - means[:, None]
        probability: Array = (WEIGHTS / (1 + np.exp(np.minimum(nodes, _LARGEST)))).sum(axis=1)
        return probability

    def dump(self) -> dict[str, Any]:
        """Means, covariances and meat: of the terms that each model has, the upper triangles row by row."""
        return {
            "mean": [self.mean[model, own].tolist() for model, own in enumerate(self._places)],
            "covariance": [_upper(self.covariance[model], own) for model, own in enumerate(self._places)],
            "meat": _upper(self.meat, self._places[0]),
        }

    def load(self, document: Mapping[str, Any]) -> None:
        """Hold what `dump` gave."""
        self.mean[:] = 0
        self._squares[:] = 0
        for model, own in enumerate(self._places):
            self.mean[model, own] = document["mean"][model]
            _put_upper(self.covariance[model], own, document["covariance"][model])
        _put_upper(self.meat, self._places[0], document["meat"])

    def _logits(self, reach: Array, terms: Array) -> tuple[Array, Array]:
        """The mean and variance of the logit of a row, by each model."""
        models = len(self.mean)
        self._vectors[:models], self._vectors[models:] = reach, self.mean
        found = np.add.reduce(self._vectors * terms, axis=1)
        return found[models:], np.maximum(found[:models], _SMALLEST)

    def _tilted(self, means: Array, variances: Array) -> list[list[float]]:
        """The integral of the likelihood times each of 1, u and u², where u is the logit in standard deviations."""
        nodes = np.multiply.outer(np.sqrt(variances), -NODES)
        nodes -= means[:, None]
        np.minimum(nodes, _LARGEST, out=nodes)
        np.exp(nodes, out=nodes)
        nodes += 1
        integrals: list[list[float]] = np.add.reduce(_MOMENTS / nodes, axis=2).tolist()
        return integrals

    def _fade(self) -> None:
        """Widen the covariance by 1 / `forget`, no variance beyond its prior; what is correlated stays so."""
        self.meat *= self._forget**2
        for model, own in enumerate(self._places):
            variances = np.maximum(self.covariance[model].diagonal()[own], _SMALLEST**2)
            factors = np.ones(len(self._own))
            factors[own] = np.sqrt(np.minimum(1 / self._forget, self._prior[model, own] / variances))
            self.covariance[model] *= factors[:, None] * factors


def _moments(variance: float, mass: float, first: float, second: float) -> tuple[float, float]:
    """How many of its reaches the mean steps toward the outcome, and how many of their squares the covariance gains.

    The bounds are those of any log-concave likelihood whose slope is within 0 and 1 and whose curvature is at most ¼
    (Brascamp and Lieb 1976). Within them the covariance stays positive definite, whatever rounding and quadrature do.
    """
    if mass < _HOPELESS:
        return 1.0, 0.0
    deviation = math.sqrt(variance)
    shift = first / mass
    left = min(max(second / mass - shift * shift, 1 / (1 + variance / 4)), 1.0)
    return min(max(shift / deviation, 0.0), 1.0), (left - 1) / variance


def _upper(square: Array, own: NDArray[np.intp]) -> list[float]:
    numbers: list[float] = square[np.ix_(own, own)][np.triu_indices(len(own))].tolist()
    return numbers


def _put_upper(square: Array, own: NDArray[np.intp], numbers: Sequence[float]) -> None:
    rows, columns = np.triu_indices(len(own))
    square[own[rows], own[columns]] = numbers
    square[own[columns], own[rows]] = numbers
