"""The request hook: sees each exchange whole, refuses what does not hold, and keeps one record of it."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import secrets
import time
import uuid
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from sqlite3 import Error as SqliteError
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diamonds import schema
from diamonds.pricer import Pricer
from diamonds.service import problems
from diamonds.service.state import Serving

logger = logging.getLogger(__name__)

MOST_BYTES = 4 * 1024 * 1024
#: A little less than BentoML's own timeout (api.py), whose answer would be neither in plain words nor in the log.
DEADLINE_SECONDS = 9
#: The status of an exchange whose caller left before it was answered, as nginx logs it.
CLIENT_GONE = 499
#: What machines and people's pages ask for is not traffic of the API.
UNLOGGED = (
    "/livez",
    "/readyz",
    "/healthz",
    "/metrics",
    "/docs",
    "/docs.json",
    "/schema.json",
    "/favicon.ico",
)
UNLOGGED_BELOW = ("/static_content/", "/static/", "/assets/")

#: The exchange that is being answered.
current: ContextVar[Exchange] = ContextVar("exchange")


@dataclass(frozen=True)
class Door:
    """A path that takes POST requests: what their body has to be, and the title of a refusal."""

    body: type[BaseModel]
    title: str


class RequestHook:
    """ASGI middleware around the whole API."""

    def __init__(self, app: ASGIApp, serving: Serving, doors: Mapping[str, Door]) -> None:
        """Wrap the app; `doors` are the paths whose bodies are checked here."""
        self._app = app
        self._serving = serving
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, and record it before the last byte of its answer leaves."""
        if scope["type"] != "http" or not _is_logged(scope):
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope, self._serving)
        current.set(exchange)
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await self._answer(exchange, scope, receive, send)
        except TimeoutError:
            await exchange.give_up(send, 504)
        except Exception:
            logger.exception("exchange %s failed", exchange.request_id)
            await exchange.give_up(send, 500)
        finally:
            exchange.record()

    async def _answer(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            exchange.request_body = body = await _read(receive)
        except _RefusedBodyError as refused:
            await exchange.refuse(send, refused.status)
            return
        door = self._doors.get(scope["path"]) if scope["method"] == "POST" else None
        if door is not None:
            refusal = _refusal(scope, body, door, ready=self._serving.champion is not None)
            if refusal is not None:
                await exchange.refuse(send, *refusal)
                return
        await self._app(scope, _replay(body, receive), exchange.watch(send))


class _RefusedBodyError(Exception):
    """A body that is not read to its end."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Exchange:
    """One request and its answer, as far as they are known.

    Attributes:
        request_id: Names the exchange, to the caller and in the log.
        answered_by: The pricer that made the answer, once one did.
    """

    def __init__(self, scope: Scope, serving: Serving) -> None:
        """Begin with a request whose body is not read yet."""
        self.answered_by: Pricer | None = None
        self.request_id = new_request_id()
        self.request_body = b""
        self.response_body = b""
        self.status = 0
        self._start: Message = {}
        self._scope = scope
        self._serving = serving
        self._received_at = datetime.now(UTC)
        self._began = time.perf_counter()
        self._recorded = False
        self._sent = False

    def watch(self, send: Send) -> Send:
        """A `send` that keeps what passes; an error of the framework leaves as a problem in plain words."""

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._start, self.status = message, message["status"]
                if not self._is_foreign_error():
                    self._sent = True
                    await send(message)
                return
            if message["type"] == "http.response.body":
                if self._is_foreign_error():
                    if not message.get("more_body"):
                        await self.refuse(send, self.status)
                    return
                self.response_body += message.get("body", b"")
                if not message.get("more_body"):
                    self.record()
            await send(message)

        return watched

    async def refuse(
        self,
        send: Send,
        status: int,
        errors: list[schema.Problem] | None = None,
        title: str | None = None,
    ) -> None:
        """Answer with a problem."""
        self.response_body = problems.problem(status, self.request_id, errors or (), title)
        self.status = status
        headers = [
            (b"content-type", problems.CONTENT_TYPE.encode()),
            (b"content-length", str(len(self.response_body)).encode()),
        ]
        if status == 503:  # noqa: PLR2004 - HTTP's own number
            headers.append((b"retry-after", b"5"))
        headers += [(name, value) for name, value in self._start.get("headers", []) if name.lower() == b"allow"]
        self.record()
        self._sent = True
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": self.response_body})

    async def give_up(self, send: Send, status: int) -> None:
        """Answer that it failed, unless an answer is on its way already."""
        if self._sent:
            self.status = status
        else:
            await self.refuse(send, status)

    def record(self) -> None:
        """Put the record into the outbox, once."""
        if self._recorded:
            return
        self._recorded = True
        client = self._scope.get("client")
        try:
            self._serving.keep(
                {
                    "request_id": self.request_id,
                    "received_at": self._received_at.isoformat(),
                    "duration_ms": (time.perf_counter() - self._began) * 1000,
                    "method": self._scope["method"],
                    "path": self._scope["path"],
                    "status": self.status or CLIENT_GONE,
                    "request_body": _json(self.request_body),
                    "response_body": _json(self.response_body),
                    "model": self.answered_by and self.answered_by.name,
                    "version": self.answered_by and self.answered_by.version,
                    "client": client[0] if client else None,
                }
            )
        except (SqliteError, OSError) as error:
            logger.error("exchange %s could not be kept: %s", self.request_id, error)

    def _is_foreign_error(self) -> bool:
        headers = dict(self._start.get("headers", []))
        return self.status >= 400 and headers.get(b"content-type") != problems.CONTENT_TYPE.encode()  # noqa: PLR2004


def new_request_id() -> str:
    """A UUID of version 7 (RFC 9562): it begins with the time in milliseconds, so that ids sort by age."""
    milliseconds = time.time_ns() // 1_000_000
    value = milliseconds << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=value))


def _is_logged(scope: Scope) -> bool:
    path = scope["path"]
    return path != "/" and path not in UNLOGGED and not path.startswith(UNLOGGED_BELOW)


async def _read(receive: Receive) -> bytes:
    """The body of a request.

    Raises:
        _RefusedBodyError: It is larger than is read, or the caller left before its end.
    """
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _RefusedBodyError(408)
        chunk = message.get("body", b"")
        chunks.append(chunk)
        size += len(chunk)
        if size > MOST_BYTES:
            raise _RefusedBodyError(413)
        if not message.get("more_body"):
            return b"".join(chunks)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that hands out a body that was read already, and then what the connection says."""
    unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return unread.pop() if unread else await receive()

    return replayed


def _refusal(
    scope: Scope, body: bytes, door: Door, *, ready: bool
) -> tuple[int, list[schema.Problem], str | None] | None:
    """Why a request is refused: its status, what is wrong, and a title; None if it holds."""
    content_type = dict(scope["headers"]).get(b"content-type", b"application/json")
    if content_type.split(b";")[0].strip().lower() != b"application/json":
        return 415, [], None
    try:
        text = body.decode("utf-8-sig")
        json.loads(text)
        door.body.model_validate_json(text)
    except ValidationError as error:
        if error.errors(include_url=False)[0]["type"] == "json_invalid":
            return 400, [schema.Problem("", None, error.errors(include_url=False)[0]["msg"])], None
        return 422, schema.problems(error, door.body), door.title
    except (ValueError, RecursionError) as error:
        return 400, [schema.Problem("", None, str(error))], None
    return None if ready else (503, [], None)


def _json(body: bytes) -> Any:  # noqa: ANN401 - JSON is anything
    """A body as JSON, or as the text it is; None if there is none."""
    if not body:
        return None
    try:
        return json.loads(body, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is beyond what JSON can hold")
    return number
