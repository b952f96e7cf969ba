"""How far prices are off that were said before the true ones were seen: over all stones, and over the newest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

#: The newest are counted in blocks of so many, and of so many blocks: the newest 451 to 500 stones, as they come.
BLOCK, BLOCKS = 50, 10


class PriceScores:
    """Sums over predictions of log dollars, each scored before its answer was learned (prequential)."""

    def __init__(self) -> None:
        """Nothing is scored yet."""
        self._all = [0.0, 0.0, 0.0, 0.0]
        self._blocks = [[0.0, 0.0, 0.0, 0.0]]

    @property
    def rows(self) -> int:
        """How many stones were scored."""
        return int(self._all[0])

    @property
    def recent_log_error(self) -> float:
        """The mean size of the log of price over prediction, over the newest stones; infinite before any."""
        rows, *_, log_error = self._recent()
        return log_error / rows if rows else math.inf

    def add(self, predicted: float, price: float) -> None:
        """Score a prediction; both in log dollars."""
        if self._blocks[-1][0] == BLOCK:
            self._blocks = [*self._blocks[-BLOCKS + 1 :], [0.0, 0.0, 0.0, 0.0]]
        relative = math.expm1(predicted - price)
        for sums in (self._all, self._blocks[-1]):
            sums[0] += 1
            sums[1] += abs(relative)
            sums[2] += relative
            sums[3] += abs(predicted - price)

    def report(self, suffix: str = "") -> dict[str, float | None]:
        """The scores by name, the names ending in `suffix`; None where nothing is scored yet.

        `mape` is the mean absolute error as a share of the price, `bias` the mean error as a share of the price (above
        0, stones are priced too high), `log_error` the mean size of the log of price over prediction, which weighs
        half and double alike. Those of the newest stones begin with `recent_`.
        """
        return _means(self._all, "", suffix) | _means(self._recent(), "recent_", suffix)

    def dump(self) -> dict[str, Any]:
        """The sums, as JSON."""
        return {"all": list(self._all), "blocks": [list(block) for block in self._blocks]}

    def load(self, document: Mapping[str, Any]) -> None:
        """Hold what `dump` gave."""
        self._all = list(document["all"])
        self._blocks = [list(block) for block in document["blocks"]]

    def _recent(self) -> list[float]:
        return [math.fsum(sums) for sums in zip(*self._blocks, strict=True)]


def _means(sums: list[float], prefix: str, suffix: str) -> dict[str, float | None]:
    rows = sums[0]
    named = zip(("mape", "bias", "log_error"), sums[1:], strict=True)
    return {f"{prefix}{name}{suffix}": total / rows if rows else None for name, total in named}
