"""The ways to steer a stream, each a POST with a JSON object."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from diamonds.errors import (
    ConfigurationError,
    DatabaseError,
    DiamondsError,
    FeedError,
    StreamConflictError,
    UntaughtError,
)
from diamonds.streams.live.asking import TOO_FAR, held, in_words, read_row
from diamonds.streams.live.door import MOST_BYTES, Refusal
from diamonds.streams.live.rendering import Renderer
from diamonds.streams.spec import FeedSpec

if TYPE_CHECKING:
    from diamonds.streams.running.runner import Runner

Given = Mapping[str, Any]
#: The ways, each with what it does and takes.
WAYS = {
    "start": "learns on",
    "pause": "stops after the batch that is under way",
    "batch": "learns one batch, and pauses",
    "speed": "learns `batches_a_second` at most, a number, or as quickly as it can where that is null",
    "pages": "takes so many `pages` to a batch",
    "reset": "begins anew, with the stored rows if `keep_rows` is true, else without; `feed`, its name, confirms it",
    "replay": "learns the stored rows again, and reads on",
    "audit": "answers how far what was learned is from a fit to all rows at once",
    "again": "reads the `page` again on which the row of this `key` was kept aside",
}
#: What an error is as a status.
STATUSES: dict[type[DiamondsError], int] = {
    UntaughtError: 409, StreamConflictError: 409, ConfigurationError: 422, FeedError: 502, DatabaseError: 503,
}  # fmt: skip


class Controls:
    """What a person may ask of one stream."""

    def __init__(self, runner: Runner, spec: FeedSpec, renderer: Renderer) -> None:
        """Steer this runner."""
        self._runner, self._spec, self._renderer = runner, spec, renderer
        self._ways: dict[str, Callable[[Given], dict[str, Any] | None]] = {
            "start": lambda _: runner.start(),
            "pause": lambda _: runner.pause(),
            "batch": lambda _: runner.one_batch(),
            "speed": lambda given: runner.set_speed(_number(given, "batches_a_second")),
            "pages": lambda given: runner.set_pages_a_batch(_whole(given, "pages")),
            "reset": self._reset,
            "replay": lambda _: runner.replay(),
            "audit": self._audit,
            "again": self._read_again,
        }

    async def steer(self, request: Request) -> Response:
        """Do what the path names."""
        way = self._ways.get(request.path_params["way"])
        if way is None:
            raise Refusal(404, f"a stream can be steered by {', '.join(self._ways)}")
        given = await read_object(request)
        became = await run_in_threadpool(_plainly, way, given)
        return JSONResponse(became or {}, headers={"Cache-Control": "no-store"})

    async def answer(self, request: Request) -> Response:
        """What the learners say of a row at this moment."""
        row = read_row(self._spec, await read_object(request))
        answers = held(await run_in_threadpool(_plainly, self._runner.answer, row))
        said = {"answers": answers, "words": in_words(self._spec, answers)}
        return JSONResponse(said, headers={"Cache-Control": "no-store"})

    def _reset(self, given: Given) -> None:
        if given.get("feed") != self._spec.name:
            raise Refusal(422, f"a reset is confirmed by the feed's name: type {self._spec.name}")
        if not isinstance(given.get("keep_rows"), bool):
            raise Refusal(422, "keep_rows must be true or false")
        self._runner.reset(keep_rows=given["keep_rows"])

    def _read_again(self, given: Given) -> dict[str, Any]:
        page, key = _whole(given, "page"), given.get("key")
        waiting = {(each["page"], each["key"]) for each in self._runner.rejects() if each["resolved_at"] is None}
        if not isinstance(key, str) or (page, key) not in waiting:
            raise Refusal(404, "no row of this page and key is kept aside: only one that is can be read again")
        return self._runner.read_again(page, key)

    def _audit(self, given: Given) -> dict[str, Any]:  # noqa: ARG002 - all take what was given
        gaps = self._runner.audit()
        return {"gaps": gaps, "html": self._renderer.audit(gaps)}


async def read_object(request: Request) -> dict[str, Any]:
    """The JSON object that was sent.

    Raises:
        Refusal: It is none. A form of another site can send none either.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Refusal(415, "send JSON, as application/json")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise Refusal(413, f"nothing that this stream is asked takes more than {MOST_BYTES:,} bytes")
    try:
        read = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "what was sent is not JSON") from error
    if not isinstance(read, dict):
        raise Refusal(422, "send a JSON object")
    return read


def _plainly(do: Callable[[Any], Any], given: Any) -> Any:  # noqa: ANN401 - what it takes and gives
    try:
        return do(given)
    except DiamondsError as error:
        status = next((status for kind, status in STATUSES.items() if isinstance(error, kind)), 500)
        raise Refusal(status, str(error)) from error
    except ArithmeticError as error:
        raise Refusal(422, TOO_FAR) from error


def _number(given: Given, name: str) -> float | None:
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refusal(422, f"{name} must be a number, or null")
    try:
        return float(value)
    except OverflowError as error:
        raise Refusal(422, f"{name} is a number beyond all others") from error


def _whole(given: Given, name: str) -> int:
    value = given.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refusal(422, f"{name} must be a whole number")
    return value
