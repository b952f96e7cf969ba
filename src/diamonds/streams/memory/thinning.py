"""Which batches the history keeps: all of the first ones, then one for each hundredth more rows, always the last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

#: So many entries are kept whatever they hold.
ALL_UNTIL = 200
#: After those, one is kept where it has so many times the rows of the one kept before.
GROWTH = 1.01


@dataclass(frozen=True)
class Entry:
    """One entry of the history: the batch, and how many rows had been learned after it."""

    version: int
    rows: int


@dataclass
class Thinning:
    """The entries that are kept; all but the last of them are for good."""

    entries: list[Entry] = field(default_factory=list)

    def add(self, entry: Entry) -> Entry | None:
        """Take the newest entry; answers the one that was the last and is not kept, if so."""
        dropped = self.entries.pop() if self._drops_last() else None
        self.entries.append(entry)
        return dropped

    def keeps_next(self, rows: int) -> bool:
        """Whether an entry with so many rows would be kept for good."""
        lasting = self.entries[:-1] if self._drops_last() else self.entries
        return _lasts(lasting, rows)

    def _drops_last(self) -> bool:
        return bool(self.entries) and not _lasts(self.entries[:-1], self.entries[-1].rows)


def _lasts(before: Sequence[Entry], rows: int) -> bool:
    return len(before) < ALL_UNTIL or (rows > before[-1].rows and rows >= before[-1].rows * GROWTH)
