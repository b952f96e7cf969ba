"""What may happen many times a second, and is said once a minute."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

#: Between two lines of the log.
QUIET_SECONDS = 60.0


class Notice:
    """A line of the log about something that goes on: at once the first time, then once a minute at most."""

    def __init__(self, logger: logging.Logger, words: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Say nothing yet.

        Args:
            logger: What it is said by, as an error.
            words: The line, with places for `%(times)d`, how often it happened since the last line, and `%(why)s`.
            clock: In seconds.
        """
        self._logger = logger
        self._words = words
        self._clock = clock
        self._guard = threading.Lock()
        self._times = 0
        self._why = ""
        self._next = -float("inf")

    def happened(self, why: object, times: int = 1) -> None:
        """Count it, and say so if that is due."""
        with self._guard:
            self._times += times
            self._why = str(why).partition("\n")[0]
        self.say()

    def say(self) -> None:
        """Say what happened since the last line, if anything did and a minute is over."""
        with self._guard:
            now = self._clock()
            if not self._times or now < self._next:
                return
            said = {"times": self._times, "why": self._why}
            self._times, self._next = 0, now + QUIET_SECONDS
        self._logger.error(self._words, said)
