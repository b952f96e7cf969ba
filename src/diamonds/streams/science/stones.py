"""Stones as a feed gives them: what its columns must hold for a price to be learned, and features of a linear model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diamonds.errors import ConfigurationError
from diamonds.schema import GRADES
from diamonds.streams.spec import Column, FeedSpec, Row

#: What a price goes by, all else equal: the best of each grade is what the others are compared with.
TERMS = (
    "1 ct of the best grades",
    "log carat",
    "(log carat)²",
    "(log carat)³",
    *(f"{field}: {grade}" for field, grades in GRADES.items() for grade in grades[-2::-1]),
)
_PLACES = {
    field: {grade: TERMS.index(f"{field}: {grade}") for grade in grades[:-1]} for field, grades in GRADES.items()
}


def write_features(row: Row, features: NDArray[np.float64]) -> None:
    """Write the features of a stone, one for each of `TERMS`, into the first places of a vector of zeros."""
    log_carat = math.log(row["carat"])
    features[0] = 1.0
    features[1] = log_carat
    features[2] = log_carat * log_carat
    features[3] = log_carat * log_carat * log_carat
    for field, places in _PLACES.items():
        place = places.get(row[field])
        if place is not None:
            features[place] = 1.0


def features_of(row: Row) -> NDArray[np.float64]:
    """The features of a stone, one for each of `TERMS`."""
    features = np.zeros(len(TERMS))
    write_features(row, features)
    return features


def require_columns(spec: FeedSpec, measures: Sequence[str], learner: str) -> None:
    """Make sure that a feed gives stones with their grades, and these measures, each of them more than 0.

    Raises:
        ConfigurationError: It does not, or might not; the message names the columns.
    """
    wrong = [name for name in measures if not _is_positive(spec.columns.get(name))]
    wrong += [name for name in GRADES if not _is_grade(spec.columns.get(name), GRADES[name])]
    if wrong:
        raise ConfigurationError(
            f"the feed {spec.name} cannot teach the learner {learner}: it needs numbers whose `least` is more than 0"
            f" ({', '.join(measures)}) and grades with all that they may be in `one_of` ({', '.join(GRADES)});"
            f" see {', '.join(wrong)}"
        )


def _is_positive(column: Column | None) -> bool:
    return column is not None and column.type == "number" and column.least is not None and column.least > 0


def _is_grade(column: Column | None, grades: Sequence[Any]) -> bool:
    return column is not None and column.one_of is not None and set(column.one_of) <= set(grades)
