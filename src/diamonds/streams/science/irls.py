"""Logistic regression of all rows at once, exactly: what a stream's coefficients are held against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

STEPS = 100
#: The fit has ended where a step changes no coefficient by more than this share of its standard error.
NEAR_ENOUGH = 1e-9
#: A variance more than so many times that of the prior says that the data do not bound the coefficient.
UNBOUND = 1e4


@dataclass(frozen=True)
class Fit:
    """Coefficients, their covariance, and whether the prior was needed: the likelihood alone has no maximum then."""

    mean: Array
    covariance: Array
    needed_prior: bool


def fit(terms: Array, outcomes: NDArray[np.bool_], prior: Array) -> Fit:
    """The likeliest coefficients, or where none are, those of the greatest posterior density.

    By iteratively reweighted least squares: Newton's steps, halved where one would lower the density.

    Args:
        terms: Of shape (rows, terms).
        outcomes: Of shape (rows,).
        prior: The variances of the coefficients, of shape (terms,).
    """
    free = _newton(terms, outcomes, np.zeros_like(prior))
    if free is not None and (free[1].diagonal() < UNBOUND * prior).all():
        return Fit(*free, needed_prior=False)
    held = _newton(terms, outcomes, 1 / prior)
    if held is None:
        raise ArithmeticError("the logistic regression of the stored rows did not come to an end")
    return Fit(*held, needed_prior=True)


def _newton(terms: Array, outcomes: NDArray[np.bool_], precision: Array) -> tuple[Array, Array] | None:
    """The place and curvature of the maximum; None where there is none, as where a line parts the outcomes."""
    signed = np.where(outcomes, 1.0, -1.0)[:, None] * terms
    mean = np.zeros(terms.shape[1])
    for _ in range(STEPS):
        logits = signed @ mean
        if not precision.any() and (logits > 0).all():
            return None
        doubt = 1 / (1 + np.exp(np.clip(logits, -700, 700)))
        information = (signed * (doubt * (1 - doubt))[:, None]).T @ signed + np.diag(precision)
        try:
            covariance: Array = np.linalg.inv(information).astype(np.float64)
        except np.linalg.LinAlgError:
            return None
        variances = covariance.diagonal()
        if not (variances > 0).all():
            return None
        step = covariance @ (doubt @ signed - precision * mean)
        if (np.abs(step) <= NEAR_ENOUGH * np.sqrt(variances)).all():
            return mean, covariance
        mean = _ascended(signed, precision, mean, step)
    return None


def _ascended(signed: Array, precision: Array, mean: Array, step: Array) -> Array:
    """Where the step leads, or a half, a quarter … of it: the first that does not lower the density."""
    before = _density(signed, precision, mean)
    for halvings in range(30):
        after = mean + step * 0.5**halvings
        if _density(signed, precision, after) >= before:
            return after
    return mean + step * 0.5**30


def _density(signed: Array, precision: Array, mean: Array) -> float:
    return float(-np.logaddexp(0, -(signed @ mean)).sum() - (precision * mean**2).sum() / 2)
