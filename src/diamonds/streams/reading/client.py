"""Asks a feed for a page until it gives one, however often it fails, stalls or talks nonsense."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any

import aiohttp

from diamonds.errors import ConfigurationError, FeedError
from diamonds.streams.reading.page import Page, PageError, read_page
from diamonds.streams.spec import FeedSpec

#: Nothing longer is a page, in bytes.
MOST_BYTES = 1024 * 1024
#: Pauses before a page is asked for again, in seconds: each is drawn from 0 to a bound that doubles up to the last.
FIRST_PAUSE, LAST_PAUSE = 0.25, 30.0
#: After so many failures of one page in a row the feed is said to be stalled.
STALLED_AFTER = 5
#: These may pass; any other status from 400 on does not.
PASSING = frozenset({408, 425, 429})
OK, REDIRECTS, REFUSED, BROKEN = 200, 300, 400, 500
#: So much of what a feed says of an error is told.
MOST_SAID = 200

Tell = Callable[[str, Mapping[str, Any]], None]
Sleep = Callable[[float], Awaitable[None]]
Draw = Callable[[float, float], float]


class _TryAgainError(Exception):
    """It was no page this time."""

    def __init__(self, why: str, pause: float | None = None) -> None:
        super().__init__(why)
        self.pause = pause


def tell_nobody(kind: str, detail: Mapping[str, Any]) -> None:
    """Let it pass."""


class PageClient:
    """One feed over HTTP.

    Attributes:
        requests: How many were made.
        retries: How many of them because one before had failed.
    """

    def __init__(  # noqa: PLR0913 - by name
        self,
        spec: FeedSpec,
        url: str | None = None,
        *,
        connections: int = 1,
        tell: Tell = tell_nobody,
        sleep: Sleep = asyncio.sleep,
        draw: Draw = random.uniform,
    ) -> None:
        """Ask nothing yet.

        Args:
            spec: The feed.
            url: Where it is served, if not where the spec says.
            connections: How many are kept open.
            tell: Hears of retries, of a feed that stalls, and of its recovery.
            sleep: Waits.
            draw: Draws a pause between two bounds.

        Raises:
            ConfigurationError: The address is none of HTTP.
        """
        self._address = f"{(url or spec.url).rstrip('/')}{spec.path}"
        if not self._address.startswith(("http://", "https://")):
            raise ConfigurationError(f"{url or spec.url} is no address of a feed: it begins with http:// or https://")
        self._spec, self._tell, self._sleep = spec, tell, sleep
        self._connections = connections
        self._draw = draw
        self._session: aiohttp.ClientSession | None = None
        self._stalled: set[int] = set()  # the pages that are asked for in vain
        self._is_told_stalled = False
        self.requests = 0
        self.retries = 0

    async def __aenter__(self) -> PageClient:
        """Open what is kept between requests."""
        timeout = aiohttp.ClientTimeout(
            total=self._spec.connect_seconds + self._spec.read_seconds, sock_connect=self._spec.connect_seconds
        )
        connector = aiohttp.TCPConnector(limit=self._connections)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        if self._session is not None:
            await self._session.close()

    async def fetch(self, number: int, *, quietly: bool = False) -> Page:
        """The page of this number, however often it has to be asked for.

        Args:
            number: Of the page.
            quietly: Whether nobody is told that the feed stalls: it is not learned from meanwhile.

        Raises:
            FeedError: The feed refuses it, and would again.
        """
        try:
            page = await self._ask_until_it_comes(number, quietly=quietly)
        finally:
            self._stalled.discard(number)
        self._recovered(number)
        return page

    async def _ask_until_it_comes(self, number: int, *, quietly: bool) -> Page:
        failures = 0
        while True:
            try:
                return await self._ask(number)
            except _TryAgainError as error:
                failures += 1
                self.retries += 1
                pause = max(self._pause(failures), error.pause or 0.0)
                self._tell_of(number, 0 if quietly else failures, str(error), pause)
                await self._sleep(pause)

    async def _ask(self, number: int) -> Page:
        """Ask once.

        Raises:
            _TryAgainError: It was no page.
            FeedError: It never will be.
        """
        if self._session is None:
            raise RuntimeError("the client is not open")
        self.requests += 1
        asked = {self._spec.page_parameter: str(number)}
        try:
            async with self._session.get(self._address, params=asked, allow_redirects=False) as answer:
                body = await _body(answer)
                return self._read(number, answer, body)
        except TimeoutError as error:
            raise _TryAgainError("it did not answer in time") from error
        except aiohttp.InvalidURL as error:
            raise FeedError(f"{self._address} is no address of a feed") from error
        except aiohttp.ClientConnectorDNSError as error:
            raise _TryAgainError(f"no machine is called {error.host}") from error
        except aiohttp.ClientConnectorError as error:
            raise _TryAgainError(f"nothing answers at {self._address.removesuffix(self._spec.path)}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise _TryAgainError(f"it cannot be reached: {error or type(error).__name__}") from error

    def _read(self, number: int, answer: aiohttp.ClientResponse, body: bytes) -> Page:
        if answer.status in self._spec.end_statuses:
            if number == self._spec.first_page:
                raise FeedError(f"{answer.url} answers {answer.status} for its first page: is the address right?")
            return read_page(self._spec, number, b"[]")
        if answer.status != OK:
            raise self._failure(answer, body)
        try:
            return read_page(self._spec, number, body)
        except PageError as error:
            raise _TryAgainError(str(error)) from error

    def _failure(self, answer: aiohttp.ClientResponse, body: bytes) -> Exception:
        said = _printable(body.decode(errors="replace"))
        if answer.status in PASSING or answer.status >= BROKEN or answer.status < REDIRECTS:
            return _TryAgainError(f"it answered {answer.status}", _retry_after(answer.headers.get("Retry-After")))
        if answer.status < REFUSED:
            place = _printable(answer.headers.get("Location", "nowhere"))
            return FeedError(f"{answer.url} leads on to {place}: give that address, for no other is followed")
        return FeedError(f"{answer.url} answers {answer.status}: {said or 'nothing more'}")

    def _pause(self, failures: int) -> float:
        bound = min(LAST_PAUSE, FIRST_PAUSE * 2 ** min(failures - 1, 10))
        return self._draw(0.0, bound)

    def _tell_of(self, number: int, failures: int, why: str, pause: float) -> None:
        told = {"page": number, "why": f"page {number}: {why}", "failures": failures, "pause_seconds": pause}
        self._tell("retry", told)
        if failures == STALLED_AFTER:
            if not self._stalled:
                self._tell("stall", told)
            self._stalled.add(number)
            self._is_told_stalled = True

    def _recovered(self, number: int) -> None:
        if self._is_told_stalled and not self._stalled:
            self._is_told_stalled = False
            self._tell("recover", {"page": number})


def _printable(said: str) -> str:
    """The beginning of what a feed says, without what would steer a terminal."""
    return "".join(each for each in " ".join(said.split()) if each.isprintable())[:MOST_SAID]


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    """What came.

    Raises:
        _TryAgainError: It is longer than any page.
    """
    if (answer.content_length or 0) <= MOST_BYTES:
        body = bytearray()
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > MOST_BYTES:
                break
        else:
            return bytes(body)
    raise _TryAgainError(f"it answered more than {MOST_BYTES // 1024 // 1024} MiB")


def _retry_after(said: str | None) -> float | None:
    """How many seconds a feed wants to be left alone; None where it does not say."""
    if said is None:
        return None
    text = said.strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:6]), LAST_PAUSE)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max((aware - datetime.now(UTC)).total_seconds(), 0.0), LAST_PAUSE)
