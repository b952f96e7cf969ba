"""The time that a run looks back on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from diamonds.errors import ConfigurationError
from diamonds.moments import moment_or_age


class Window(NamedTuple):
    """From the first moment that counts to the first that is too late, both aware of their zone."""

    since: datetime
    until: datetime

    @classmethod
    def of(cls, since: str, until: str | None) -> Window:
        """The window between two moments as people write them, or ages; without an end it ends now.

        Raises:
            ConfigurationError: One of them is neither, or the window ends before it begins.
        """
        window = cls(_moment("since", since), datetime.now(UTC) if until is None else _moment("until", until))
        if window.since >= window.until:
            raise ConfigurationError(f"the window from {since} until {until or 'now'} ends before it begins")
        return window


def _moment(name: str, text: str) -> datetime:
    try:
        return moment_or_age(str(text))
    except ValueError as error:
        raise ConfigurationError(f"{name}={text} {error}") from error
