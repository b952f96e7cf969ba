"""How good predictions are that were made before the answer was seen: over all rows, and over the newest; O(1) a row.

Sums are added up in the order of the rows, so that they do not depend on how the rows were cut into batches.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from diamonds.streams.science.calibration import DECILES, CalibrationBin, calibration_bin
from diamonds.streams.science.newest import Newest, area

#: The newest are counted in blocks of so many rows, and of so many blocks: the newest 451 to 500 rows, as they come.
BLOCK, BLOCKS = 50, 10
#: Bins of the histogram of probabilities, for the area under the curve.
BINS = 200
#: No probability is scored as nearer to 0 or 1 than this: a mistake that was held impossible costs 34.5 nats.
NEAREST = 1e-15
#: A number is scored as no larger than this: squares of what is larger could not be added up.
LARGEST = 1e140


class _Sums:
    """Sums over all rows and over the newest ones; the first of them counts the rows."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.all: list[float] = [0.0] * size
        self.blocks: list[list[float]] = [[0.0] * size]

    def add(self, terms: Sequence[float]) -> None:
        blocks = self.blocks
        if blocks[-1][0] == BLOCK:
            blocks.append([0.0] * self._size)
            del blocks[:-BLOCKS]
        for sums in (self.all, blocks[-1]):
            for place, term in enumerate(terms):
                sums[place] += term

    @property
    def recent_rows(self) -> int:
        """How many the newest are."""
        return BLOCK * (len(self.blocks) - 1) + int(self.blocks[-1][0])

    def means(self) -> list[float | None]:
        """Over all rows: how many they are, and the mean of each further term."""
        return _means(self.all)

    def recent_means(self) -> list[float | None]:
        """The same over the newest rows."""
        return _means([math.fsum(terms) for terms in zip(*self.blocks, strict=True)])

    def dump(self) -> dict[str, Any]:
        return {"all": list(self.all), "blocks": [list(block) for block in self.blocks]}

    def load(self, document: Mapping[str, Any]) -> None:
        self.all = list(document["all"])
        self.blocks = [list(block) for block in document["blocks"]]


def _means(sums: list[float]) -> list[float | None]:
    rows = sums[0]
    return [rows, *(term / rows if rows else None for term in sums[1:])]


class ClassificationScores:
    """Of probabilities that a row is a yes."""

    def __init__(self) -> None:
        """Nothing is scored yet."""
        self._sums = _Sums(5)
        self._bins = [[0] * BINS, [0] * BINS]  # of the rows that came to be a no, and a yes
        self._deciles = [[0, 0.0, 0] for _ in range(DECILES)]  # rows, sum of their probabilities, yeses
        self._newest = Newest()
        self._of_base_rate = [0.0, 0.0]  # the sums of its losses and of its squared errors

    @property
    def rows(self) -> int:
        """How many rows were scored."""
        return int(self._sums.all[0])

    @property
    def positives(self) -> int:
        """How many of them were a yes."""
        return int(self._sums.all[1])

    def add(self, probability: float, outcome: bool) -> float:  # noqa: FBT001 - what came
        """Score a probability of a yes, said before the outcome was seen; gives the loss in nats."""
        chance = probability if outcome else 1.0 - probability
        loss = -math.log(max(chance, NEAREST))
        self._score_base_rate(outcome)
        is_right = (probability > 0.5) == outcome  # noqa: PLR2004 - the likelier of the two
        self._sums.add((1.0, float(outcome), float(is_right), loss, (1.0 - chance) ** 2))
        self._bins[outcome][bin_of(probability)] += 1
        self._newest.add(probability, outcome, self._sums.recent_rows)
        decile = self._deciles[min(int(probability * DECILES), DECILES - 1)]
        decile[0] += 1
        decile[1] += probability
        decile[2] += outcome
        return loss

    def report(self) -> dict[str, float | None]:
        """The scores by name, None where there is nothing to score; those of the newest rows begin with `recent_`.

        `always_no_accuracy` is what saying no to all would have reached; `base_rate_log_loss` and `base_rate_brier` are
        what saying the share of yeses among the rows before would have cost, one of each counted beforehand. `auc` is
        None until both outcomes were seen.
        """
        _, base_rate, accuracy, log_loss, brier = self._sums.means()
        _, recent_base_rate, recent_accuracy, recent_log_loss, recent_brier = self._sums.recent_means()
        rows = self.rows
        of_base_rate = [total / rows if rows else None for total in self._of_base_rate]
        recent_of_base_rate = self._newest.of_base_rate(rows, self.positives)
        return {
            "rows": rows,
            "base_rate": base_rate,
            "accuracy": accuracy,
            "always_no_accuracy": None if base_rate is None else 1 - base_rate,
            "log_loss": log_loss,
            "base_rate_log_loss": of_base_rate[0],
            "brier": brier,
            "base_rate_brier": of_base_rate[1],
            "auc": self.auc(),
            "recent_base_rate": recent_base_rate,
            "recent_accuracy": recent_accuracy,
            "recent_always_no_accuracy": None if recent_base_rate is None else 1 - recent_base_rate,
            "recent_log_loss": recent_log_loss,
            "recent_base_rate_log_loss": recent_of_base_rate[0],
            "recent_brier": recent_brier,
            "recent_base_rate_brier": recent_of_base_rate[1],
            "recent_auc": self._newest.auc(),
        }

    def auc(self) -> float | None:
        """The area under the ROC curve: how often a yes was given a greater probability than a no.

        Within one bin of the histogram they count as equal, half a time each.
        """
        return area(*self._bins)

    def recent_calibration(self) -> list[CalibrationBin]:
        """Ten bins of the probability, of the newest rows; what was predicted is told to within 0.0004."""
        return self._newest.calibration()

    def calibration(self) -> list[CalibrationBin]:
        """Ten bins of the probability."""
        return [calibration_bin(place, *decile) for place, decile in enumerate(self._deciles)]

    def dump(self) -> dict[str, Any]:
        """All sums, as JSON."""
        return {
            "sums": self._sums.dump(),
            "bins": [list(bins) for bins in self._bins],
            "deciles": [list(decile) for decile in self._deciles],
            "newest": self._newest.dump(),
            "of_base_rate": list(self._of_base_rate),
        }

    def load(self, document: Mapping[str, Any]) -> None:
        """Hold what `dump` gave."""
        self._sums.load(document["sums"])
        self._bins = [list(bins) for bins in document["bins"]]
        self._deciles = [list(decile) for decile in document["deciles"]]
        self._newest.load(document["newest"])
        self._of_base_rate = list(document["of_base_rate"])

    def _score_base_rate(self, outcome: bool) -> None:  # noqa: FBT001 - what came
        """Before the row is counted."""
        rows, yeses, *_ = self._sums.all
        rate = (yeses + 1) / (rows + 2)
        chance = rate if outcome else 1 - rate
        self._of_base_rate[0] -= math.log(chance)
        self._of_base_rate[1] += (1 - chance) ** 2


def bin_of(probability: float) -> int:
    """Which bin of the histogram a probability falls into; they are equal in arcsin √p.

    So they are narrow near 0 and 1, where the probabilities of a rare outcome or of a sharp rule crowd.

    >>> bin_of(0.0), bin_of(0.001), bin_of(0.5), bin_of(1.0)
    (0, 4, 100, 199)
    """
    return min(int(math.asin(math.sqrt(probability)) * (BINS * 2 / math.pi)), BINS - 1)


def _bounded(number: float) -> float:
    return min(max(number, -LARGEST), LARGEST)


class RegressionScores:
    """Of predicted numbers, beside the mean of the answers that were known when each was made."""

    def __init__(self) -> None:
        """Nothing is scored yet."""
        self._sums = _Sums(5)
        self._answers = [0.0, 0.0]  # how many are known, and their sum

    @property
    def rows(self) -> int:
        """How many rows were scored."""
        return int(self._sums.all[0])

    @property
    def mean(self) -> float:
        """Of the answers so far; 0 before any."""
        known, total = self._answers
        return total / known if known else 0.0

    def add(self, predicted: float, answer: float) -> float:
        """Score a prediction, made before the answer was seen; gives its error."""
        predicted, answer = _bounded(predicted), _bounded(answer)
        error = predicted - answer
        self._sums.add((1.0, abs(error), error, error * error, (self.mean - answer) ** 2))
        self._answers[0] += 1
        self._answers[1] += answer
        return error

    def report(self) -> dict[str, float | None]:
        """The scores by name, in the units of the answer; those of the newest rows begin with `recent_`.

        `bias` is the mean of predicted minus answered; `r2` is 1 minus the squared error beside that of having said the
        mean so far, None where that made no error.
        """
        found: dict[str, float | None] = {"rows": self.rows}
        for prefix, means in ("", self._sums.means()), ("recent_", self._sums.recent_means()):
            _, mae, bias, squared, squared_of_mean = means
            found |= {
                f"{prefix}mae": mae,
                f"{prefix}bias": bias,
                f"{prefix}rmse": None if squared is None else math.sqrt(squared),
                f"{prefix}r2": 1 - squared / squared_of_mean if squared is not None and squared_of_mean else None,
            }
        return found

    def dump(self) -> dict[str, Any]:
        """All sums, as JSON."""
        return {"sums": self._sums.dump(), "answers": list(self._answers)}

    def load(self, document: Mapping[str, Any]) -> None:
        """Hold what `dump` gave."""
        self._sums.load(document["sums"])
        self._answers = list(document["answers"])
