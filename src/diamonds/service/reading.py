"""Reading from the database for those who look: in the few threads there are for it, and not for ever."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from diamonds.service.hooks import DEADLINE_SECONDS
from diamonds.service.problems import RefusedError
from diamonds.service.state import Serving

logger = logging.getLogger(__name__)

Found = TypeVar("Found")

#: Answers that are being read from the database, or wait to be: more would take the places of quotes.
MOST_READING = 32


class Reading:
    """However many look, connections are left for the log itself."""

    def __init__(self, serving: Serving) -> None:
        """Read what this worker's database holds."""
        self._serving = serving
        self._waiting = 0

    async def read(self, subject: str, read: Callable[[Engine], Found]) -> Found:
        """What the database says, when it is our turn; `subject` is what it is about, in words.

        Raises:
            RefusedError: It says nothing, or nothing in time.
        """
        if self._waiting >= MOST_READING:
            raise RefusedError(503)
        self._waiting += 1
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):  # pages have no other
                threads, engine = self._serving.reading, self._serving.engine
                return await asyncio.get_running_loop().run_in_executor(threads, read, engine)
        except TimeoutError as error:
            raise RefusedError(504) from error
        except SQLAlchemyError as error:
            logger.error("the %s cannot be read: %s", subject, error)
            raise RefusedError(503, title=f"The {subject} cannot be read now: the database is away") from error
        finally:
            self._waiting -= 1
