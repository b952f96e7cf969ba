"""The time that a run looks back on, and the database in which it does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from diamonds.config import read_settings
from diamonds.errors import ConfigurationError, DatabaseError
from diamonds.moments import moment_or_age
from diamonds.store.database import open_database, require_current


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


@contextmanager
def reading(what: str) -> Iterator[Engine]:
    """The configured database, open while `what`, for the message, is read from it.

    Raises:
        DatabaseError: It is away, or not up to date.
    """
    engine = open_database(read_settings())
    try:
        require_current(engine)
        yield engine
    except SQLAlchemyError as error:
        raise DatabaseError(f"{what} cannot be read: {error}") from error
    finally:
        engine.dispose()


def _moment(name: str, text: str) -> datetime:
    try:
        return moment_or_age(str(text))
    except ValueError as error:
        raise ConfigurationError(f"{name}={text} {error}") from error
