"""Logistic regression refitted to all rows so far, as they come: what a learner from a stream is held against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: It is refitted after so many rows, and whenever there are 2 % more of them.
PAGE, GROWTH = 10, 1.02


def losses(rows: Sequence[dict[str, Any]], features: Sequence[str], target: str, *, squares: bool) -> Array:
    """The log loss of each row, predicted by scikit-learn's LogisticRegression with its defaults.

    It is fitted to the rows before, as they are, with squares and products or without. Until both outcomes were seen,
    the share of yeses (with one of each beside it) is predicted.
    """
    plain = np.array([[row[feature] for feature in features] for row in rows])
    outcomes = np.array([row[target] for row in rows])
    return _losses(_with_squares(plain) if squares else plain, outcomes)


def _losses(matrix: Array, outcomes: NDArray[np.bool_]) -> Array:
    from sklearn.linear_model import LogisticRegression

    chances, done, rows = np.empty(len(outcomes)), 0, len(outcomes)
    while done < rows:
        until = min(rows, max(done + PAGE - done % PAGE, int(done * GROWTH)))
        yeses = int(outcomes[:done].sum())
        if 0 < yeses < done:
            fitted = LogisticRegression().fit(matrix[:done], outcomes[:done])
            chances[done:until] = fitted.predict_proba(matrix[done:until])[:, 1]
        else:
            chances[done:until] = (yeses + 1) / (done + 2)
        done = until
    lost: Array = -np.log(np.clip(np.where(outcomes, chances, 1 - chances), 1e-15, 1))
    return lost


def _with_squares(plain: Array) -> Array:
    places = range(plain.shape[1])
    products = [plain[:, i] * plain[:, j] for i in places for j in places if i <= j]
    return np.column_stack([plain, *products])
