"""What a classifier learned row by row, beside what all stored rows say at once."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from diamonds.streams.learners import Gap
from diamonds.streams.science.irls import Fit, fit
from diamonds.streams.science.scores import ClassificationScores
from diamonds.streams.science.terms import names
from diamonds.streams.science.twins import BENT, STRAIGHT, Twins
from diamonds.streams.spec import Row

#: Of more rows than this, the scores are not made anew: predicting so many again takes some seconds.
REPLAYED_ROWS = 200_000


class Stored:
    """Features and outcomes of all rows, in the order in which they were learned."""

    def __init__(self, rows: Iterator[Row], features: Sequence[str], target: str) -> None:
        """Read them all; 8 bytes a feature and a row."""
        values, outcomes = array("d"), array("b")
        for row in rows:
            values.extend(float(row[feature]) for feature in features)
            outcomes.append(bool(row[target]))
        self.values = np.frombuffer(values, dtype=np.float64).reshape(-1, len(features)) if values else np.empty((0, 0))
        self.outcomes = np.frombuffer(outcomes, dtype=np.bool_) if outcomes else np.empty(0, dtype=np.bool_)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.outcomes)


def coefficient_gaps(twins: Twins, stored: Stored, features: Sequence[str]) -> list[Gap]:
    """Each coefficient beside the likeliest of all rows at once, on standardised features; gaps in standard errors."""
    terms = twins.terms.expand_all(stored.values)
    variances = twins.prior.variances(len(features))
    gaps = []
    for model, label in (STRAIGHT, ""), (BENT, " (degree 2)"):
        size = 1 + len(features) if model == STRAIGHT else terms.shape[1]
        batch = fit(terms[:, :size], stored.outcomes, variances[model, :size])
        streamed = twins.density.mean[model, :size].tolist()
        gaps += _gaps(streamed, batch, names(features)[:size], label)
    return gaps


def _gaps(streamed: Sequence[float], batch: Fit, terms: Sequence[str], label: str) -> list[Gap]:
    ending = ", with the prior, without which there is no likeliest" if batch.needed_prior else ""
    return [
        {
            "what": f"{term}{label}, standardised{ending}",
            "streamed": here,
            "batch": there,
            "gap": abs(here - there) / se,
            "unit": "standard errors",
        }
        for term, here, there, se in zip(
            terms, streamed, batch.mean.tolist(), np.sqrt(batch.covariance.diagonal()).tolist(), strict=True
        )
    ]


def score_gaps(scores: ClassificationScores, stored: Stored, learn: Callable[[list[float], bool], float]) -> list[Gap]:
    """Log loss and AUC beside those of predicting all rows anew, one after the other; none where the rows are many.

    Args:
        scores: As they were counted in the stream.
        stored: The rows.
        learn: Of models that know nothing yet: learns a row and gives the probability of its outcome from before.
    """
    if not 0 < len(stored) <= REPLAYED_ROWS:
        return []
    chances = np.array(
        [learn(row, outcome) for row, outcome in zip(stored.values.tolist(), stored.outcomes.tolist(), strict=True)]
    )
    probabilities = np.where(stored.outcomes, chances, 1 - chances)
    found, gaps = scores.report(), []
    for name, batch in (
        ("log_loss", float(-np.log(np.maximum(chances, 1e-15)).mean())),
        ("auc", auc(probabilities, stored.outcomes)),
    ):
        streamed = found[name]
        if streamed is not None and batch is not None:
            gaps.append(Gap(what=name, streamed=streamed, batch=batch, gap=abs(streamed - batch), unit="absolute"))
    return gaps


def auc(probabilities: NDArray[np.float64], outcomes: NDArray[np.bool_]) -> float | None:
    """The area under the ROC curve, exactly, from the mean ranks; None where only one outcome came."""
    yeses = int(outcomes.sum())
    pairs = yeses * (len(outcomes) - yeses)
    if not pairs:
        return None
    _, place, counts = np.unique(probabilities, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return float((ranks[outcomes].sum() - yeses * (yeses + 1) / 2) / pairs)
