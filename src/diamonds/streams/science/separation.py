"""Whether a line, plane or hyperplane parts the yeses from the noes so far: exact, by the few rows that lie nearest it.

Two groups are parted if some direction has a positive product with each row (1, features), those of noes turned round.
Either there is one, or the rows' convex hull holds the origin (Gordan 1873): the point of the hull that is nearest to
the origin tells which, and is the direction. A row on its right side changes nothing, any other moves it nearer to the
origin, and only the rows that it is made of need to be kept (Wolfe, "Finding the nearest point in a polytope",
Mathematical Programming 1976).

While they are parted, the likeliest coefficients of a logistic regression are infinite (Albert and Anderson 1984).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Array = NDArray[np.float64]

#: So many rows are kept at most, of some features: more than a point of their hull can be made of.
MOST_ROWS = 40
#: A hull nearer to the origin holds it: features are in standard deviations.
NEAREST = 1e-9
#: Some tens are enough to find the nearest point.
MOST_TURNS = 1000


class Separation:
    """Rows in their order, until they overlap.

    Attributes:
        overlaps: Whether no direction parts the rows; once so, it stays so.
    """

    def __init__(self) -> None:
        """No row came yet."""
        self.overlaps = False
        self._rows: list[list[float]] = []
        self._direction: Array | None = None

    def see(self, features: Array, outcome: bool) -> None:  # noqa: FBT001 - what came
        """Take one more row: 1, and its features in standard deviations."""
        if self.overlaps:
            return
        row = features if outcome else -features
        if self._direction is None or np.add.reduce(row * self._direction) <= 0:
            self._rows.append(row.tolist())
            self._turn()

    def dump(self) -> dict[str, Any]:
        """The rows that are kept."""
        return {"overlaps": self.overlaps, "rows": [list(row) for row in self._rows]}

    def load(self, document: Mapping[str, Any]) -> None:
        """Hold what `dump` gave."""
        self.overlaps, self._rows = document["overlaps"], [list(row) for row in document["rows"]]
        if self._rows:
            self._direction = _nearest(np.array(self._rows))[1]

    def _turn(self) -> None:
        """Find the direction anew, and let go of rows that it does not need."""
        rows = np.array(self._rows)
        weights, self._direction = _nearest(rows)
        if len(rows) > MOST_ROWS:
            self._rows = rows[weights > 0].tolist()
            self._direction = _nearest(np.array(self._rows))[1]
        if np.add.reduce(self._direction**2) < NEAREST**2:
            self.overlaps, self._rows, self._direction = True, [], None


def _nearest(rows: Array) -> tuple[Array, Array]:
    """The point of the rows' convex hull that is nearest to the origin, after the weights that make it of the rows.

    The origin itself where none can be found: what is left of the distances is rounding.
    """
    target = np.zeros(rows.shape[1] + 1)
    target[-1] = 1
    try:
        weights, _ = nnls(np.vstack([rows.T, np.ones(len(rows))]), target, maxiter=MOST_TURNS)
    except RuntimeError:
        return np.ones(len(rows)), np.zeros(rows.shape[1])
    weights /= weights.sum()
    point: Array = (weights[:, None] * rows).sum(axis=0)
    return weights, point
