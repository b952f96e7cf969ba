"""One request and its answer, as far as they are known, and the one record that is kept of them."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from http import HTTPStatus
from ipaddress import ip_address

from starlette.types import Message, Receive, Scope, Send

from diamonds.pricer import Pricer
from diamonds.service import bodies, problems
from diamonds.service.bodies import BYTE_ORDER_MARK, MOST_KEPT, Kept, as_text
from diamonds.service.problems import RefusedError
from diamonds.service.state import Serving

#: The status of an exchange whose caller left before it was answered, as nginx logs it.
CLIENT_GONE = 499
JSON_TYPE = b"application/json"
PROBLEM_TYPE = problems.CONTENT_TYPE.encode()
#: Headers that go with a status: when a caller that was sent away may come back, and what lets one in.
EXPLAINED_BY = {503: ((b"retry-after", b"5"),), 401: ((b"www-authenticate", b"Bearer"),)}
#: In bytes and seconds: a caller who takes longer to read a piece of an answer is not waited for.
PIECE, PIECE_SECONDS = 256 * 1024, 10
#: In bytes and seconds: how much of a refused body is still taken from a caller, so that the answer can be read.
MOST_DRAINED, DRAIN_SECONDS = 64 * 1024 * 1024, 4

#: In characters: more of what a caller makes up is not kept.
MOST_OF_A_METHOD, MOST_OF_A_PATH = 16, 500
BY_NO_MODEL = '"model":null,"version":null'
#: What is shown there is in the log already, and need not be in it once more.
SHOWING_THE_LOG = "/traffic"

_chances: deque[bytes] = deque()

#: The exchange that is being answered.
current: ContextVar[Exchange] = ContextVar("exchange")


class Exchange:
    """One request and its answer.

    Attributes:
        request_id: Names the exchange, to the caller and in the log.
        scope: The request as ASGI has it.
        path: What was asked for.
        headers: Of the request, names in lower case.
        request_body: The request's body, once it is read.
        is_read: Whether it is.
        is_json: Whether it is known to be strict JSON.
        held: How many bytes of it are in memory.
        answered_by: The pricer that made the answer, once one did.
        prices: How many prices it is about.
        status: Of the answer; 0 until there is one.
    """

    def __init__(self, scope: Scope, serving: Serving) -> None:
        """Begin with a request whose body is not read yet."""
        self._received_at = time.time_ns()
        self.request_id = new_request_id(self._received_at)
        self.scope = scope
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.request_body = b""
        self.is_read = self.is_json = False
        self.held = 0
        self.answered_by: Pricer | None = None
        self.prices = 0
        self.status = 0
        self._response_body = b""
        self._ready: dict[bytes, Kept] = {}
        self._quoted = ""
        self._is_ours = False
        self._start: Message = {}
        self._serving = serving
        self._began = time.perf_counter()
        self._recorded = False
        self._sent = False

    async def answer(self, send: Send, body: bytes, put_off: Callable[[float], None]) -> None:
        """Answer with JSON; each piece of a long answer puts the deadline off, by so many seconds from now."""
        await self._begin(send, 200, body, [(b"content-type", JSON_TYPE)])
        for first in range(0, len(body) - PIECE, PIECE):
            put_off(PIECE_SECONDS)
            await send({"type": "http.response.body", "body": body[first : first + PIECE], "more_body": True})
        rest = (len(body) - 1) // PIECE * PIECE
        await send({"type": "http.response.body", "body": body[rest:] if rest else body})

    async def give_up(self, send: Send, refused: RefusedError, unread: Receive | None = None) -> None:
        """Answer that it failed, unless an answer is on its way already."""
        if self._sent:
            self.status = refused.status
        else:
            await self.refuse(send, refused, unread)

    async def refuse(self, send: Send, refused: RefusedError, unread: Receive | None = None) -> None:
        """Answer with a problem.

        Args:
            send: To the caller.
            refused: What is wrong.
            unread: The rest of a body that is not to be kept. It is taken from the caller all the same, up to a bound:
                one who is still sending when the connection closes does not get to read the answer.
        """
        headers = [(b"content-type", PROBLEM_TYPE), *EXPLAINED_BY.get(refused.status, ())]
        headers += [(name, value) for name, value in self._start.get("headers", []) if name.lower() == b"allow"]
        body = problems.as_json(refused, self.request_id)
        await self._begin(send, refused.status, body, headers)
        if unread is not None:
            await send({"type": "http.response.body", "body": body, "more_body": True})
            await _drain(unread)
            body = b""
        await send({"type": "http.response.body", "body": body})

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
                        await self.refuse(send, RefusedError(self.status))
                    return
                self._response_body += message.get("body", b"")
                if not message.get("more_body"):
                    self.record()
            await send(message)

        return watched

    def record(self) -> None:
        """Put the record into the outbox, once."""
        if self._recorded:
            return
        self._recorded = True
        if self.scope["method"] == "HEAD":  # the server sends none of it
            self._response_body, self._is_ours = b"", False
        seconds = time.perf_counter() - self._began
        status = self.status or CLIENT_GONE
        model = self.answered_by.name if self.answered_by else None
        self._serving.count(self.path, status, seconds, model, self.prices if status == 200 else 0)  # noqa: PLR2004
        try:
            self._serving.keep(self._as_json(seconds, status))
        except OSError as error:
            self._serving.count_unkept(error)

    async def _begin(self, send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        """Begin to answer, the record first."""
        self.status, self._response_body, self._is_ours = status, body, True
        headers.append((b"content-length", b"%d" % len(body)))
        self.record()
        self._sent = True
        await send({"type": "http.response.start", "status": status, "headers": headers})

    def prepare(self, answer: bytes) -> None:
        """Do what it takes to record long bodies, which is better done off the event loop."""
        self._ready = {body: self._keep(body) for body in (self.request_body, answer) if len(body) > MOST_KEPT}
        if self._ready and self.prices:
            self._quoted = bodies.pack(self.request_body, answer, self._serving.masked)

    def _as_json(self, seconds: float, status: int) -> str:
        """The record, as a JSON object of the columns of the traffic log; bodies that are JSON are not written anew."""
        pricer, client = self.answered_by, self.scope.get("client")
        whole, part = divmod(self._received_at, 1_000_000_000)
        path = self.path if len(self.path) <= MOST_OF_A_PATH else f"{self.path[: MOST_OF_A_PATH - 1]}…"
        request, response, of_cut_bodies = self._bodies()
        return (
            f'{{"request_id":"{self.request_id}","received_at":"{_moment(whole)}.{part // 1000:06}+00:00",'
            f'"duration_ms":{seconds * 1000:.4f},{_asked(self.scope["method"], path)},"status":{status},'
            f'"request_body":{request},"response_body":{response},'
            f"{_made_by(pricer.name, pricer.version) if pricer else BY_NO_MODEL},"
            f'"client":{_address(client[0]) if client else "null"},'
            f'"request_bytes":{len(self.request_body)},"response_bytes":{len(self._response_body)}{of_cut_bodies}}}'
        )

    def _bodies(self) -> tuple[str, str, str]:
        """Both bodies as JSON, and further columns where one is not kept whole."""
        if self.is_json and self._is_ours and not self._serving.masked:
            request, response = self.request_body, self._response_body
            if len(request) <= MOST_KEPT and len(response) <= MOST_KEPT:  # as nearly all are
                return request.removeprefix(BYTE_ORDER_MARK).decode(), response.decode(), ""
        asked = self._keep(self.request_body, is_json=self.is_json)
        answered = self._keep(self._response_body, is_json=self._is_ours)
        if not (asked.sha256 or answered.sha256):
            return asked.json, answered.json, ""
        columns = {"request_sha256": asked.sha256, "response_sha256": answered.sha256, "quoted": self._quoted}
        return asked.json, answered.json, "".join(f',"{name}":"{value}"' for name, value in columns.items() if value)

    def _keep(self, body: bytes, *, is_json: bool = False) -> Kept:
        if body in self._ready:
            return self._ready[body]
        most = 0 if self.path.startswith(SHOWING_THE_LOG) and self.status == HTTPStatus.OK else MOST_KEPT
        return bodies.keep(body, self._serving.masked, is_json=is_json, most=most)

    def _is_foreign_error(self) -> bool:
        headers = dict(self._start.get("headers", []))
        return self.status >= 400 and headers.get(b"content-type") != PROBLEM_TYPE  # noqa: PLR2004


@lru_cache(maxsize=2)
def _moment(seconds: int) -> str:
    """UTC to the second, as ISO 8601 has it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=1000)
def _asked(method: str, path: str) -> str:
    """The columns that say what was asked for, as JSON."""
    return f'"method":{as_text(method[:MOST_OF_A_METHOD])},"path":{as_text(path)}'


@lru_cache(maxsize=16)
def _made_by(model: str, version: str) -> str:
    """The columns that say which model answered, as JSON."""
    return f'"model":{as_text(model)},"version":{as_text(version)}'


@lru_cache(maxsize=10_000)
def _address(client: str) -> str:
    """A caller's address as JSON; null where a proxy names something that is none."""
    try:
        return as_text(str(ip_address(client)))
    except ValueError:
        return "null"


async def _drain(unread: Receive) -> None:
    """Take what a caller sends and keep none of it."""
    size = 0
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while size < MOST_DRAINED:
                message = await unread()
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return  # the connection is closed on a caller who goes on


def new_request_id(nanoseconds: int | None = None) -> str:
    """A UUID of version 7 (RFC 9562): it begins with the time in milliseconds, so that ids sort by age.

    Args:
        nanoseconds: That time, since 1970, UTC; by default now.
    """
    if not _chances:
        many = os.urandom(1000)  # to ask the system for each would take longer
        _chances.extend(many[first : first + 10] for first in range(0, len(many), 10))
    chance = int.from_bytes(_chances.pop())
    moment = time.time_ns() if nanoseconds is None else nanoseconds
    value = (moment // 1_000_000 << 80) | (0x7 << 76) | (chance >> 4 & 0xFFF) << 64 | 0b10 << 62
    digits = f"{value | chance >> 18:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
