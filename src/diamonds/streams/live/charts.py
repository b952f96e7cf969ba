"""What the line charts are drawn from: the history of a stream, thinned to what a screen can show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

#: Points of a line.
MOST_POINTS = 300


def charts(history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Points of the history, evenly spread over the logarithm of the rows, the last one among them.

    Returns:
        `points`, each with its rows, and by learner the coefficients (estimate, low, high) and scores by name.
    """
    learned = [entry for entry in history if entry["rows"]]
    return {"points": [_point(entry) for entry in thinned(learned, MOST_POINTS)]}


def thinned(history: Sequence[Mapping[str, Any]], most: int) -> list[Mapping[str, Any]]:
    """At most so many of them.

    >>> [entry["rows"] for entry in thinned([{"rows": rows} for rows in range(1, 101)], 4)]
    [1, 9, 46, 100]
    """
    if len(history) <= most:
        return list(history)
    first, last = (math.log(history[place]["rows"]) for place in (0, -1))
    slots = {round((math.log(entry["rows"]) - first) / (last - first) * (most - 1)): entry for entry in history[:-1]}
    slots = {0: history[0]} | {slot: entry for slot, entry in slots.items() if 0 < slot < most - 1}
    return [*(slots[slot] for slot in sorted(slots)), history[-1]]


def _point(entry: Mapping[str, Any]) -> dict[str, Any]:
    coefficients, scores = entry["coefficients"], entry["scores"]
    return {
        "rows": entry["rows"],
        "learners": {
            name: {
                "coefficients": {each["term"]: [each["estimate"], each["low"], each["high"]] for each in learned},
                "scores": scores.get(name, {}),
            }
            for name, learned in coefficients.items()
        },
    }
