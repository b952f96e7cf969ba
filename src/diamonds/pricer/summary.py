"""What a model was trained on, and which of a stone's features lie outside of that."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from diamonds.blocks import Blocks
from diamonds.schema import FEATURES, GRADES, GROSS_ABOVE, GROSS_BELOW, SIZE_OF_ONE_CARAT

Limits = dict[str, tuple[float, float]]

NUMBERS = tuple(feature for feature in FEATURES if feature not in GRADES)
#: A contradiction is this many times as far from the usual, in logarithms, as that one stone in so many.
MARGIN, ONE_IN = 3.0, 1000


def _gross() -> Limits:
    """What pricers go by that were saved before they learned it: sizes of one carat that are not grossly wrong."""
    return {size: (GROSS_BELOW * usual, GROSS_ABOVE * usual) for size, usual in SIZE_OF_ONE_CARAT.items()}


@dataclass(frozen=True)
class TrainingSummary:
    """What a model was trained on.

    Attributes:
        data_fingerprint: Names the raw files' contents; two runs on the same files share it.
        rows: The number of training stones.
        params: The model's parameters, by name.
        ranges: The least and the greatest value of each number among the training stones.
        agreeing: Between what limits measurements agree with each other: `x`, `y` and `z` in mm over the cube root of
            the carats, and `depth`, the one that they give over the one that is stated.
    """

    data_fingerprint: str
    rows: int
    params: dict[str, Any]
    ranges: Limits
    agreeing: Limits = field(default_factory=_gross)

    @classmethod
    def of(cls, stones: pd.DataFrame, params: dict[str, Any], data_fingerprint: str) -> TrainingSummary:
        """The summary of a training on these stones."""
        ranges = _ranges(stones)
        values = {column: stones[column].to_numpy(dtype=float) for column in NUMBERS}
        ratios = _ratios(values, np.cbrt(values["carat"]))
        agreeing = {measurement: _limits(ratio) for measurement, ratio in ratios.items()}
        return cls(data_fingerprint, len(stones), params, ranges, agreeing)

    def over(self, stones: Blocks) -> TrainingSummary:
        """The same, learned from some of these, with the number and the ranges of them all."""
        found = list(stones.each(_ranges))
        ranges = {
            column: (min(each[column][0] for each in found), max(each[column][1] for each in found))
            for column in NUMBERS
        }
        return replace(self, rows=len(stones), ranges=ranges)

    def outside(self, stone: Mapping[str, Any]) -> list[str]:
        """The features that lie beyond those of the training stones, or contradict each other as theirs do not.

        A size may contradict the weight, and a stated depth the sizes. Missing measurements are None or absent.
        """
        get = stone.get
        values = {name: math.nan if (given := get(name)) is None else given for name in NUMBERS}
        named = [name for name, found in self._judged(values, float(np.cbrt(values["carat"]))) if found]
        return [name for name in FEATURES if name in named] if named else named

    def outside_many(self, stones: pd.DataFrame) -> list[list[str]]:
        """The same for each of many stones, whose missing measurements are NaN."""
        values = {name: stones[name].to_numpy(dtype=float) for name in NUMBERS}
        found = np.zeros((len(stones), len(FEATURES)), bool)
        with np.errstate(all="ignore"):  # impossible sizes have endless ratios
            for name, judged in self._judged(values, np.cbrt(values["carat"])):
                found[:, FEATURES.index(name)] |= judged
        named: list[list[str]] = [[] for _ in range(len(stones))]
        for row, place in np.argwhere(found).tolist():
            named[row].append(FEATURES[place])
        return named

    def _judged(self, values: dict[str, Any], root: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - as in `_ratios`
        """Which numbers lie beyond a limit; NaN, a missing one, never does."""
        for name, (least, most) in self.ranges.items():
            yield name, (values[name] < least) | (values[name] > most)
        ratios = _ratios(values, root)
        for name, (least, most) in self.agreeing.items():
            yield name, (ratios[name] < least) | (ratios[name] > most)


def _ranges(stones: pd.DataFrame) -> Limits:
    return {column: (float(stones[column].min()), float(stones[column].max())) for column in NUMBERS}


def _ratios(values: dict[str, Any], root: Any) -> dict[str, Any]:  # noqa: ANN401 - of one stone or of many
    """How measurements agree with each other, as `TrainingSummary.agreeing` has it; `root` is that of the weight."""
    x, y, z = values["x"], values["y"], values["z"]
    return {"x": x / root, "y": y / root, "z": z / root, "depth": 200 * z / (x + y) / values["depth"]}


def _limits(ratios: Any) -> tuple[float, float]:  # noqa: ANN401 - an array
    low, usual, high = np.quantile(np.log(ratios), [1 / ONE_IN, 0.5, 1 - 1 / ONE_IN])
    return float(np.exp(usual - MARGIN * (usual - low))), float(np.exp(usual + MARGIN * (high - usual)))
