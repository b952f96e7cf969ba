"""The request hook: sees each exchange whole, refuses what does not hold, answers, and keeps one record of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diamonds.service.bodies import MOST_KEPT
from diamonds.service.deadlines import Deadlines
from diamonds.service.doors import Door, Work
from diamonds.service.exchange import JSON_TYPE, Exchange, current
from diamonds.service.guard import require_admin
from diamonds.service.health import HEALTH, refuse_method
from diamonds.service.problems import RefusedError
from diamonds.service.state import Serving

logger = logging.getLogger(__name__)

MOST_BYTES = 4 * 1024 * 1024
#: Of all bodies that are being read or answered in this worker.
MOST_BYTES_HELD = 32 * MOST_BYTES
#: More than a diamond takes: what is longer is read off the event loop.
MOST_BYTES_QUICK = 64 * 1024
#: Requests that are being answered in this worker, those whose body is still on its way left out.
MOST_IN_FLIGHT = 64
#: A little less than BentoML's own timeout (api.py), whose answer would be neither in plain words nor in the log.
DEADLINE_SECONDS = 4
#: What machines and people's pages ask for is not traffic of the API.
UNLOGGED = (
    "/",
    "/models",
    "/sign-in",
    "/sign-out",
    "/livez",
    "/readyz",
    "/healthz",
    "/metrics",
    "/docs",
    "/docs.json",
    "/schema.json",
    "/favicon.ico",
)
UNLOGGED_BELOW = ("/static_content/", "/static/", "/assets/", "/models/")
#: What is a page to a browser and JSON to a program; below it each exchange has a page, and counts are always JSON.
TRAFFIC, COUNTS = "/traffic", "/traffic/counts"


class RequestHook:
    """ASGI middleware around the whole API."""

    def __init__(self, app: ASGIApp, serving: Serving, doors: Mapping[str, Door]) -> None:
        """Wrap the app; what is posted to `doors` is answered here, and all else by the app."""
        self._app = app
        self._serving = serving
        self._doors = doors
        self._deadlines = Deadlines()
        self._held = 0
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, and record it before the last byte of its answer leaves."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] in HEALTH and scope["method"] in {"GET", "HEAD"}:
            await HEALTH[scope["path"]](self._serving, send)
        elif scope["path"] in HEALTH:
            await refuse_method(send)
        elif _is_logged(scope["path"]) and not _is_page(scope):
            await self._exchange(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _exchange(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, self._serving)
        current.set(exchange)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in one
        self._deadlines.begin(task, DEADLINE_SECONDS)
        try:
            await self._answer(exchange, receive, send, task)
        except RefusedError as refused:
            self._deadlines.end(task)  # what a caller still sends has a deadline of its own
            is_arriving = not exchange.is_read and refused.status != 408  # noqa: PLR2004 - HTTP's own number
            await exchange.give_up(send, refused, receive if is_arriving else None)
        except asyncio.CancelledError:
            if not self._deadlines.cancelled(task):
                raise
            await exchange.give_up(send, _late(exchange))
        except Exception:
            logger.exception("exchange %s failed", exchange.request_id)
            await exchange.give_up(send, RefusedError(500))
        finally:
            self._deadlines.end(task)
            self._held -= exchange.held
            exchange.record()

    async def _answer(self, exchange: Exchange, receive: Receive, send: Send, task: asyncio.Task[None]) -> None:
        """Let a door or the app answer."""
        await self._read(exchange, receive)
        if self._in_flight >= MOST_IN_FLIGHT:
            raise RefusedError(503)
        self._in_flight += 1
        try:
            door = self._doors.get(exchange.path) if exchange.scope["method"] == "POST" else None
            if door is None:
                await self._app(exchange.scope, _replay(exchange.request_body, receive), exchange.watch(send))
                return
            _require_body(exchange)
            if door.guarded:
                require_admin(exchange.headers, exchange.scope.get("client"), self._serving.admin_token)
            _require_json(exchange.headers)
            is_quick = door.work is Work.QUICK and exchange.held <= MOST_BYTES_QUICK
            answer = door.enter(self._serving, exchange) if is_quick else await self._in_thread(door, exchange)
        finally:
            self._in_flight -= 1
        await exchange.answer(send, answer, lambda seconds: self._deadlines.begin(task, seconds))

    async def _in_thread(self, door: Door, exchange: Exchange) -> bytes:
        threads = self._serving.waiting if door.work is Work.WAITS else self._serving.threads
        return await asyncio.get_running_loop().run_in_executor(threads, _enter, door, self._serving, exchange)

    async def _read(self, exchange: Exchange, receive: Receive) -> None:
        """Read the body of a request; of one that is not read to its end, what came of it is recorded.

        Raises:
            RefusedError: It is larger than is read, too much is held already, or the caller left before its end.
        """
        is_too_large = _is_announced_too_large(exchange)
        if is_too_large and b"expect" in exchange.headers:  # who asks first need not send any
            raise RefusedError(413)
        most = MOST_KEPT if is_too_large else MOST_BYTES
        chunks: list[bytes] = []
        try:
            while not exchange.is_read:
                chunks.append(await self._chunk(exchange, receive))
                if exchange.held > most:
                    raise RefusedError(413)
                if self._held > MOST_BYTES_HELD:
                    raise RefusedError(503)
        finally:
            exchange.request_body = b"".join(chunks)

    async def _chunk(self, exchange: Exchange, receive: Receive) -> bytes:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedError(408)
        chunk: bytes = message.get("body", b"")
        exchange.held += len(chunk)
        self._held += len(chunk)
        exchange.is_read = not message.get("more_body", False)
        return chunk


def _enter(door: Door, serving: Serving, exchange: Exchange) -> bytes:
    answer = door.enter(serving, exchange)
    exchange.prepare(answer)
    return answer


def _late(exchange: Exchange) -> RefusedError:
    if exchange.is_read:
        return RefusedError(504)
    return RefusedError(413 if _is_announced_too_large(exchange) else 408)


def _is_announced_too_large(exchange: Exchange) -> bool:
    return int(exchange.headers.get(b"content-length", 0)) > MOST_BYTES


def _is_logged(path: str) -> bool:
    return path not in UNLOGGED and not path.startswith(UNLOGGED_BELOW)


def _is_page(scope: Scope) -> bool:
    """Whether a browser asks for the page that lies where programs get JSON."""
    path = scope["path"]
    if scope["method"] not in {"GET", "HEAD"} or path == COUNTS or not f"{path}/".startswith(f"{TRAFFIC}/"):
        return False
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


def _require_body(exchange: Exchange) -> None:
    """Some clients offer HTTP/2 by `Upgrade: h2c`; the server, which does not speak it, then loses the body."""
    if not exchange.request_body and b"upgrade" in exchange.headers:
        raise RefusedError(400, title="The body was lost: send HTTP/1.1 without the header Upgrade")


def _require_json(headers: Mapping[bytes, bytes]) -> None:
    given = headers.get(b"content-type") or JSON_TYPE
    if given != JSON_TYPE and given.split(b";")[0].strip().lower() != JSON_TYPE:
        raise RefusedError(415)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that hands out a body that was read already, and then what the connection says."""
    unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return unread.pop() if unread else await receive()

    return replayed
