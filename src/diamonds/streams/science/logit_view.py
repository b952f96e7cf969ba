"""What the page draws of a classifier: the map of its probabilities, and its line of one half."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from diamonds.streams.science.adf import AssumedDensity
from diamonds.streams.science.terms import FARTHEST, Terms

COLUMNS, ROWS = 32, 24
#: How far the map reaches about the centres where no rows are given, in standard deviations.
REACH = 3.0


def decision_map(
    features: Sequence[str], terms: Terms, density: AssumedDensity, weight: float, recent: Sequence[Sequence[float]]
) -> dict[str, Any] | None:
    """Probabilities over the first two features, the others at their centres; None where there is only one feature.

    Args:
        features: Their names.
        terms: Their scales.
        density: The straight model and that of degree 2.
        weight: Of the second.
        recent: Values of features that the map should reach to.
    """
    if len(features) < 2:  # noqa: PLR2004 - a map has two sides
        return None
    (left, right), (bottom, top) = (_range(place, terms, recent) for place in (0, 1))
    grid = [
        terms.expand([x, y, *terms.centres[2:]])
        for y in np.linspace(bottom, top, ROWS).tolist()
        for x in np.linspace(left, right, COLUMNS).tolist()
    ]
    straight, bent = (density.probabilities(model, np.array(grid)) for model in (0, 1))
    probability = ((1 - weight) * straight + weight * bent).reshape(ROWS, COLUMNS)
    return {
        "x": {"column": features[0], "from": left, "to": right},
        "y": {"column": features[1], "from": bottom, "to": top},
        "columns": COLUMNS,
        "rows": ROWS,
        "probability": probability.round(4).tolist(),
    }


def half_line(coefficients: Sequence[float]) -> dict[str, float] | None:
    """Where a straight model of two features says one half, as y = intercept + slope x; None where it says so nowhere.

    Args:
        coefficients: On the features' own scale: the intercept's, the first's, the second's.
    """
    if len(coefficients) != 3 or coefficients[2] == 0:  # noqa: PLR2004 - an intercept and two slopes
        return None
    intercept, slope = (-each / coefficients[2] for each in coefficients[:2])
    return {"intercept": intercept, "slope": slope} if np.isfinite([intercept, slope]).all() else None


def _range(place: int, terms: Terms, recent: Sequence[Sequence[float]]) -> tuple[float, float]:
    centre, scale = terms.centres[place], terms.scales[place]
    values = [min(max(row[place], centre - FARTHEST * scale), centre + FARTHEST * scale) for row in recent]
    if values and min(values) < max(values):
        return min(values), max(values)
    return centre - REACH * scale, centre + REACH * scale
