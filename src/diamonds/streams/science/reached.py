"""When each conclusion was first reached, and whether it was later withdrawn."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypedDict


class Reached(TypedDict):
    """What became of one conclusion.

    Attributes:
        conclusion: Its name.
        row: The number of rows at which it was first reached.
        withdrawn_at_row: The number of rows at which it was last withdrawn; None if it never was.
        again_at_row: The number of rows at which it was reached again after that; None if it is withdrawn still.
        withdrawals: How often it was withdrawn.
    """

    conclusion: str
    row: int
    withdrawn_at_row: int | None
    again_at_row: int | None
    withdrawals: int


class Diary:
    """Notes what is concluded at each look; of the same size however often one looks."""

    def __init__(self) -> None:
        self._reached: dict[str, Reached] = {}

    def note(self, rows: int, concluded: Collection[str]) -> None:
        """Note what is concluded at a number of rows."""
        for conclusion in concluded:
            entry = self._reached.setdefault(conclusion, _first(conclusion, rows))
            if entry["withdrawn_at_row"] and not entry["again_at_row"]:
                entry["again_at_row"] = rows
        for conclusion, entry in self._reached.items():
            if conclusion not in concluded and (not entry["withdrawn_at_row"] or entry["again_at_row"]):
                entry["withdrawn_at_row"], entry["again_at_row"] = rows, None
                entry["withdrawals"] += 1

    def entries(self) -> list[Reached]:
        """All conclusions that were ever reached, the first one first."""
        return [entry.copy() for entry in self._reached.values()]

    @classmethod
    def of(cls, entries: Iterable[Mapping[str, Any]]) -> Diary:
        """The diary that had these entries."""
        diary = cls()
        diary._reached = {entry["conclusion"]: Reached(**entry) for entry in entries}  # type: ignore[typeddict-item]
        return diary


def _first(conclusion: str, rows: int) -> Reached:
    return Reached(conclusion=conclusion, row=rows, withdrawn_at_row=None, again_at_row=None, withdrawals=0)
