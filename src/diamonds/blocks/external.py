"""XGBoost on data that stays on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xgboost

from diamonds.blocks.workers import Boosting
from diamonds.memory import give_back


class Pulse(xgboost.callback.TrainingCallback):  # type: ignore[misc] # it ships no types
    """Signs of life in a file: whenever a block is read, and after each tree."""

    def __init__(self, place: Path) -> None:
        """Name the file."""
        self._place = place

    def beat(self) -> None:
        """Leave one."""
        self._place.touch()

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ANN401, ARG002 - XGBoost's own
        """Leave one, and go on."""
        self.beat()
        return False


class _Reading(xgboost.DataIter):  # type: ignore[misc] # it ships no types
    """XGBoost's way to ask for block after block, as often as it likes."""

    def __init__(self, wanted: Boosting, cache: Path, pulse: Pulse) -> None:
        self._wanted, self._pulse, self._next = wanted, pulse, 0
        super().__init__(cache_prefix=str(cache / "xgboost"))

    def next(self, input_data: Any) -> bool:  # noqa: ANN401 - XGBoost's callback
        """Hand over the next block; False after the last."""
        if self._next == len(self._wanted.parts):
            return False
        data, label = self._wanted.columns(self._wanted.parts[self._next])
        input_data(data=data, label=label)
        self._pulse.beat()
        self._next += 1
        return True

    def reset(self) -> None:
        """Begin anew."""
        self._next = 0


def boosted(wanted: Boosting, cache: Path, pulse: Pulse) -> xgboost.Booster:
    """Grow trees over all parts, binned once into files in `cache` that are read for each level of each tree.

    Within a communicator of XGBoost's, over the parts of all its members. Takes some 60 bytes a row for the while.
    """
    give_back()
    try:
        binned = xgboost.ExtMemQuantileDMatrix(_Reading(wanted, cache, pulse), nthread=wanted.params.get("nthread"))
        return xgboost.train(wanted.params, binned, num_boost_round=wanted.rounds, callbacks=[pulse])
    finally:
        give_back()
