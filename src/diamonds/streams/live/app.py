"""The page of one stream as a web app: what is shown, what is told while it is shown, and what may be asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import parse_qs

from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from diamonds import web
from diamonds.errors import DatabaseError
from diamonds.streams.live.broadcast import Broadcast, zipped
from diamonds.streams.live.charts import charts
from diamonds.streams.live.controls import Controls
from diamonds.streams.live.door import MOST_BYTES, Door, Refusal, refuse, signed_in
from diamonds.streams.live.downloads import Downloads
from diamonds.streams.live.rendering import HERE, MOST_EVENTS, SERVICE, Renderer
from diamonds.streams.running.runner import Runner
from diamonds.streams.spec import FeedSpec
from diamonds.web import plotly

T = TypeVar("T")
NO_STORE = {"Cache-Control": "no-store"}
#: Between a stream and its reader nothing may wait for more.
EVENTS = NO_STORE | {"X-Accel-Buffering": "no", "Vary": "Accept-Encoding"}
HEADERS = web.headers(**web.PLOTLYS, form_action="'self'") | NO_STORE


def make_app(
    runner: Runner, spec: FeedSpec, engine: Engine, *, token: str | None = None, service: str = SERVICE
) -> Starlette:
    """The app.

    Args:
        runner: What learns, and is watched and steered.
        spec: The feed that it learns from.
        engine: The database that the rows are in.
        token: Whoever has it is let in; without one, whoever is on this machine.
        service: Where prices are served, to lead there.
    """
    views = Views(runner, spec, engine, token, service)
    return Starlette(
        routes=[
            Route("/", views.page),
            Route("/events", views.events),
            Route("/snapshot.json", views.snapshot),
            Route("/charts.json", views.charts),
            Route("/rejects.html", views.rejects),
            Route("/events.html", views.log),
            Route("/{name:str}.{form:str}", views.downloads.table),
            Route("/control/{way:str}", views.controls.steer, methods=["POST"]),
            Route("/answer", views.controls.answer, methods=["POST"]),
            Route("/sign-in", views.sign_in, methods=["GET", "POST"]),
            Route("/livez", alive),
            Route("/static/{name:str}.min.js", plotly.script),
            Mount("/static", StaticFiles(directory=HERE / "static", packages=[web.ASSETS])),
        ],
        middleware=[Middleware(Door, token=token)],
        exception_handlers={Refusal: refuse},
    )


def alive(request: Request) -> Response:  # noqa: ARG001 - Starlette's
    """Whether it is up."""
    return PlainTextResponse("alive")


class Views:
    """What is read."""

    def __init__(self, runner: Runner, spec: FeedSpec, engine: Engine, token: str | None, service: str) -> None:
        """Show this runner."""
        self._runner, self._token = runner, token
        self._renderer = Renderer(spec, service)
        self._broadcast = Broadcast(runner, self._renderer.event)
        self.controls = Controls(runner, spec, self._renderer)
        self.downloads = Downloads(runner, spec, engine)

    def page(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's
        """The page as it is at this moment."""
        rejects = _if_there(self._runner.rejects)
        events = _if_there(lambda: self._runner.events(MOST_EVENTS))
        return HTMLResponse(self._renderer.page(self._runner.snapshot(), rejects, events), headers=HEADERS)

    async def events(self, request: Request) -> Response:
        """What is new, as server-sent events."""
        events, headers = self._broadcast.events(), EVENTS
        if "gzip" in request.headers.get("accept-encoding", ""):
            events, headers = zipped(events), EVENTS | {"Content-Encoding": "gzip"}
        return StreamingResponse(events, headers=headers, media_type="text/event-stream")

    def snapshot(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's
        """Everything that is to be seen now, for programs."""
        return Response(self._runner.snapshot().data, headers=NO_STORE, media_type="application/json")

    def charts(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's
        """What the line charts begin with."""
        return JSONResponse(charts(self._runner.history()), headers=NO_STORE)

    def rejects(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's
        """The rows that were not learned, as a part of the page."""
        return HTMLResponse(self._renderer.rejects(self._runner.rejects()), headers=HEADERS)

    def log(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's
        """What happened, as a part of the page."""
        return HTMLResponse(self._renderer.events(self._runner.events(MOST_EVENTS)), headers=HEADERS)

    async def sign_in(self, request: Request) -> Response:
        """Ask for the token, and give a cookie for it."""
        if self._token is None:
            raise Refusal(404, "this stream asks for no token")
        if request.method != "POST":
            return HTMLResponse(self._renderer.sign_in(), headers=HEADERS)
        given = parse_qs((await _form(request)).decode(errors="replace")).get("token", [""])[0]
        answer = signed_in(given, self._token)
        if answer is None:
            page = await run_in_threadpool(self._renderer.sign_in, "That is not the token.")
            return HTMLResponse(page, 401, HEADERS)
        return answer


def _if_there(read: Callable[[], T]) -> T | None:
    """What the database says; None where it does not answer, for what is learned is shown all the same."""
    try:
        return read()
    except DatabaseError:
        return None


async def _form(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise Refusal(413, "that is longer than any token")
    return body
