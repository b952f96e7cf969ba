"""Whether predictions became worse than they were: the test of Page and Hinkley on a stream of losses."""

from __future__ import annotations

from typing import Any

#: What a loss may rise by, in nats a row, without being held against the model.
TOLERANCE = 0.05
#: How many nats beyond that the losses must add up to. There was no false alarm in 12 million rows of streams that do
#: not change (the processes of `feeding.generators`); with 30, there were ten in six million.
THRESHOLD = 40.0


class PageHinkley:
    """Adds up by how much each loss exceeds the mean so far (Page 1954); it begins anew after each alarm."""

    def __init__(self) -> None:
        """No loss was seen yet."""
        self._rows, self._alarms, self._alarm_row = 0, 0, 0
        self._seen, self._mean, self._excess = 0, 0.0, 0.0

    def add(self, loss: float) -> None:
        """Take the loss of one more row, in nats."""
        self._rows += 1
        self._seen += 1
        self._mean += (loss - self._mean) / self._seen
        self._excess = max(self._excess + loss - self._mean - TOLERANCE, 0.0)
        if self._excess > THRESHOLD:
            self._alarms += 1
            self._alarm_row = self._rows
            self._seen, self._mean, self._excess = 0, 0.0, 0.0

    def report(self) -> dict[str, Any]:
        """Whether it ever rang, how often, at which row for the last time, and how near it is to ringing (0 to 1)."""
        return {
            "alarm": self._alarms > 0,
            "alarms": self._alarms,
            "row": self._alarm_row or None,
            "level": self._excess / THRESHOLD,
        }

    def dump(self) -> list[float]:
        """All that it holds."""
        return [self._rows, self._alarms, self._alarm_row, self._seen, self._mean, self._excess]

    def load(self, document: list[float]) -> None:
        """Hold what `dump` gave."""
        rows, alarms, alarm_row, seen, self._mean, self._excess = document
        self._rows, self._alarms, self._alarm_row, self._seen = int(rows), int(alarms), int(alarm_row), int(seen)
