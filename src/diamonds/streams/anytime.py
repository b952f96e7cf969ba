"""Intervals that stay valid while somebody watches: looked at after every row, they are wrong in one stream of twenty.

Ordinary 95 % intervals are for one look; of a true value of 0, more than half of all streams of 10,000 rows show an
interval that excludes it at some time. Source: Lindon, Ham, Tingley and Bojinov, "Anytime-valid linear models and
regression adjusted causal inference in randomized experiments", 2022; normal mixture boundary of Robbins, 1970.
"""

from __future__ import annotations

import math

#: How often a stream may ever show an interval without the true value.
ALPHA = 0.05
#: After so many rows the intervals are as narrow as such intervals can be.
NARROWEST_AT = 100
_RATIO = (-2 * math.log(ALPHA) + math.log(1 - 2 * math.log(ALPHA))) / NARROWEST_AT


def half_width(rows: int) -> float:
    """How many standard errors an interval reaches to either side after so many rows; infinite before any."""
    if rows < 1:
        return math.inf
    mixed = rows * _RATIO
    return math.sqrt(2 * (mixed + 1) / mixed * math.log(math.sqrt(mixed + 1) / ALPHA))
