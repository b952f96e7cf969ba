"""The request hook: sees each exchange whole, refuses what does not hold, and keeps one record of it."""

from __future__ import annotations

import json
import logging
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
            await self._answer(exchange, scope, receive, send)
        except BaseException:
            exchange.status = exchange.status or 500
            raise
        finally:
            exchange.record()

    async def _answer(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read(receive)
        if body is None:
            await exchange.refuse(send, 413)
            return
        exchange.request_body = body
        door = self._doors.get(scope["path"]) if scope["method"] == "POST" else None
        if door is not None:
            refusal = _refusal(scope, body, door, ready=self._serving.champion is not None)
            if refusal is not None:
                await exchange.refuse(send, *refusal)
                return
        await self._app(scope, _replay(body, receive), exchange.watch(send))


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

    def watch(self, send: Send) -> Send:
        """A `send` that keeps what passes; an error of the framework leaves as a problem in plain words."""

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._start, self.status = message, message["status"]
                if not self._is_foreign_error():
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
        self.status = status
        self.response_body = problems.problem(status, self.request_id, errors or (), title)
        headers = [
            (b"content-type", problems.CONTENT_TYPE.encode()),
            (b"content-length", str(len(self.response_body)).encode()),
        ]
        if status == 503:  # noqa: PLR2004 - HTTP's own number
            headers.append((b"retry-after", b"5"))
        headers += [(name, value) for name, value in self._start.get("headers", []) if name.lower() == b"allow"]
        self.record()
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": self.response_body})

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
                    "status": self.status,
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


async def _read(receive: Receive) -> bytes | None:
    """The body of a request; None if it is larger than is read."""
    chunks, size = [], 0
    while True:
        message = await receive()
        chunk = message.get("body", b"")
        chunks.append(chunk)
        size += len(chunk)
        if size > MOST_BYTES:
            return None
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
        json.loads(body)
    except (ValueError, RecursionError) as error:
        return 400, [schema.Problem("", None, str(error))], None
    try:
        door.body.model_validate_json(body)
    except ValidationError as error:
        return 422, schema.problems(error, door.body), door.title
    return None if ready else (503, [], None)


def _json(body: bytes) -> Any:  # noqa: ANN401 - JSON is anything
    """A body as JSON, or as the text it is; None if there is none."""
    if not body:
        return None
    try:
        return json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
