"""The training stones as parts: how many have which grades as JSON, and arrays that are used where they lie."""

from __future__ import annotations

import json
from collections.abc import Iterable
from io import BytesIO
from typing import Annotated

import pandas as pd
from pydantic import Field, TypeAdapter

from diamonds.pricer.parts import CARATS, GRADES, NUMBERS, STONES, Parts, parsing
from diamonds.schema import Clarity, Color, Cut
from diamonds.stones import ALL_GRADES, Grades, SortedStones, npy
from diamonds.stones import NUMBERS as NUMBERS_OF_A_STONE

#: Cut, color, clarity, and how many stones have them.
_COUNTED = TypeAdapter(list[tuple[Cut, Color, Clarity, Annotated[int, Field(gt=0, strict=True)]]])


def dump(stones: SortedStones) -> dict[str, Iterable[bytes]]:
    """The parts of the stones, piece by piece."""
    counted = [[*grades, count] for grades, count in stones.counts.items()]
    return {
        GRADES: [json.dumps(counted).encode()],
        CARATS: npy.pieces(stones.carats),
        NUMBERS: npy.pieces(stones.numbers),
    }


def restore(parts: Parts) -> SortedStones:
    """The stones that these parts hold; other parts are left alone.

    Raises:
        ArtefactError: A part does not hold what it should; the message names it.
    """
    if STONES in parts.read:  # of a pricer that was saved before stones were sorted
        with parsing(STONES):
            return SortedStones.of(pd.read_parquet(BytesIO(parts.read[STONES])))
    with parsing(GRADES):
        counts = _counts(parts.read[GRADES])
    count = sum(counts.values())
    with parsing(CARATS):
        carats = npy.array_in(parts.mapped[CARATS], (count,))
    with parsing(NUMBERS):
        numbers = npy.array_in(parts.mapped[NUMBERS], (count, len(NUMBERS_OF_A_STONE)))
    return SortedStones(carats, numbers, counts)


def _counts(content: bytes) -> dict[Grades, int]:
    counted = _COUNTED.validate_json(content)
    counts: dict[Grades, int] = {(cut, color, clarity): count for cut, color, clarity, count in counted}
    if [tuple(grades) for *grades, _ in counted] != [grades for grades in ALL_GRADES if grades in counts]:
        raise ValueError("its grades are not in the order in which stones are sorted")
    return counts
