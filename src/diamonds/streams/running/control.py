"""What a person wants of a stream: whether it learns, how quickly, and in batches of how many pages."""

from __future__ import annotations

import threading
from typing import Any, Literal

from diamonds.errors import ConfigurationError

Wish = Literal["run", "one batch", "pause"]
MOST_PAGES = 500


class Control:
    """The wishes, as any thread may change them.

    Attributes:
        wish: Whether to learn on.
        batches_a_second: At most; None as quickly as it goes.
        pages_a_batch: How many pages are learned in one transaction.
    """

    def __init__(self, wish: Wish, pages_a_batch: int) -> None:
        """Begin with these."""
        self.wish: Wish = wish
        self.batches_a_second: float | None = None
        self.pages_a_batch = pages_a_batch
        self._lock = threading.Lock()

    @property
    def wants_to_learn(self) -> bool:
        """Whether a batch is to be learned."""
        return self.wish != "pause"

    def set_speed(self, batches_a_second: float | None) -> None:
        """Learn no more batches a second than that.

        Raises:
            ConfigurationError: It is not more than none.
        """
        if batches_a_second is not None and not 0 < batches_a_second < float("inf"):
            raise ConfigurationError(f"the speed must be more than 0 batches a second, not {batches_a_second}")
        self.batches_a_second = batches_a_second

    def set_pages_a_batch(self, pages: Any) -> None:  # noqa: ANN401 - what a person wrote
        """Learn so many pages in one transaction.

        Raises:
            ConfigurationError: It is not a whole number from 1 to 500.
        """
        if not isinstance(pages, int) or isinstance(pages, bool) or not 1 <= pages <= MOST_PAGES:
            raise ConfigurationError(f"the pages a batch must be a whole number from 1 to {MOST_PAGES}, not {pages}")
        self.pages_a_batch = pages

    def batch_done(self) -> None:
        """A batch was learned: where only one was wanted, that was it."""
        with self._lock:
            if self.wish == "one batch":
                self.wish = "pause"

    def want(self, wish: Wish) -> None:
        """Learn on, learn one batch, or pause."""
        with self._lock:
            self.wish = wish
