"""The pages for people: a stone's price, how good the models are, what is asked of the service, and the API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from diamonds import web
from diamonds.service import artefacts, models_page, price_page, problems, promoting, run_page, traffic_page, wording
from diamonds.service.documents import Documents, problem
from diamonds.service.guard import COOKIE, has_signed_in, require_own_page, require_person
from diamonds.service.problems import RefusedError
from diamonds.service.reading import Reading
from diamonds.service.requests import is_for_people, query, request_id
from diamonds.service.sign_in import form_of, signed_in
from diamonds.service.state import Serving
from diamonds.service.traffic_page import Shown
from diamonds.web import plotly

HERE = Path(__file__).parent
#: Where BentoML keeps Swagger UI (Apache License 2.0), which so needs no copy here.
SWAGGER_UI = ("bentoml._internal.server", "static_content")
#: Where runs of this machine leave their data, from the folder that the service was started in.
DATA = Path("data")
#: In seconds: who waits longer for a promotion is told so meanwhile. BentoML waits a little longer for an answer.
SOON = 3
#: Of what only those may see who have the token, and of what programs get as JSON at the same address.
GUARDED, TOLD_APART = {"Cache-Control": "no-store"}, {"Vary": "Accept"}
HEADERS = web.headers(**web.PLOTLYS, form_action="'self'")


class Pages:
    """All routes that are looked at rather than posted to, those of `Documents` among them.

    None holds the event loop up: Starlette calls plain functions in threads, and what needs the database is read in
    the few that there are for it.
    """

    def __init__(self, serving: Serving, describe: Callable[[], dict[str, Any]]) -> None:
        """Read what is served from `serving`; `describe` makes the OpenAPI document, once."""
        self._serving, self._reading = serving, Reading(serving)
        self._documents = Documents(serving, self._reading, describe)
        self._promotions: set[asyncio.Task[str | None]] = set()
        self._templates = web.environment(HERE / "templates")
        self._templates.filters |= wording.FILTERS
        self._templates.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}

    def app(self) -> Starlette:
        """The app to mount at the root of the service."""
        assets = StaticFiles(directory=HERE / "static", packages=[web.ASSETS, SWAGGER_UI])
        return Starlette(
            routes=[
                Route("/", self.price),
                Route("/sign-in", self.sign_in, methods=["GET", "POST"]),
                Route("/sign-out", self.sign_out, methods=["POST"]),
                Route("/models", self.models),
                Route("/models/promote", self.promote, methods=["GET", "POST"]),
                Route("/models/{run_id:str}", self.run),
                Route("/models/watched/{run_id:str}.json", self.watched),
                Route("/models/{run_id:str}/{model:str}/{figure:str}.json", self.figure),
                Route("/docs", self.docs),
                Route("/docs.json", self._documents.document),
                Route("/champion", self._documents.champion),
                Route("/history", self._documents.history),
                Route("/traffic", self.traffic),
                Route("/traffic/counts", self._documents.counts),
                Route("/traffic/{request_id}", self.exchange),
                Route("/static/{name:str}.min.js", plotly.script),
                Mount("/static", assets),
            ],
            exception_handlers={RefusedError: self._refuse},
        )

    def price(self, request: Request) -> Response:
        """A form that prices a stone, and whose model prices it."""
        values = price_page.values(self._serving.champion, request_id()) | {"readiness": self._serving.readiness()}
        return self._page(request, "price.html", "Price", **values)

    def docs(self, request: Request) -> Response:
        """The API, to read and to try."""
        return self._page(request, "docs.html", "API", url=f"{request.url.scheme}://{request.url.netloc}")

    async def models(self, request: Request) -> Response:
        """The champion, and how every model of every run did."""
        asked, champion = query(request, models_page.ModelsQuery, models_page.UNSHOWN), self._serving.champion
        known = self._rights(request) | {"readiness": self._serving.readiness()}

        def made(engine: Engine) -> Response:
            shown = models_page.values(engine, asked, champion, DATA)
            return self._page(request, "models.html", "Models", **known, **shown)

        return await self._reading.read("history", made)

    async def run(self, request: Request) -> Response:
        """One run and its models."""
        run_id, known = request.path_params["run_id"], self._rights(request)

        def made(engine: Engine) -> Response:
            return self._page(request, "run.html", "Models", **known, **run_page.values(engine, run_id, DATA))

        return await self._reading.read("history", made)

    def figure(self, request: Request) -> Response:
        """A figure that a run drew, as `kedro viz` shows it."""
        return self._file(artefacts.figure_file(DATA, **request.path_params))

    def watched(self, request: Request) -> Response:
        """The figure of a report on the champion."""
        return self._file(artefacts.watched_file(DATA, **request.path_params))

    def _file(self, place: Path | None) -> Response:
        if place is None:
            raise RefusedError(404, title="There is no such figure on this machine")
        return FileResponse(place, headers={"X-Content-Type-Options": "nosniff", **plotly.FOR_GOOD})

    async def promote(self, request: Request) -> Response:
        """Make a model champion, and lead back to the page of models."""
        if request.method != "POST":
            return RedirectResponse("/models", 303)
        require_person(request, self._serving.admin_token)
        asked = promoting.Promotion.of(await form_of(request))
        await self._reading.read("history", lambda engine: promoting.require_known(engine, asked))
        promotion = asyncio.create_task(promoting.promote(promoting.command(), asked))
        self._promotions.add(promotion)  # it goes on where its caller leaves
        promotion.add_done_callback(self._promotions.discard)
        done, _ = await asyncio.wait({promotion}, timeout=SOON)
        if not done:
            told = self._told_later(request, asked, promotion)
            return StreamingResponse(told, media_type="text/html", headers=HEADERS)
        if why := promotion.result():
            raise promoting.refused(409, why)
        return RedirectResponse("/models?promoted=yes", 303)

    async def _told_later(
        self, request: Request, asked: promoting.Promotion, promotion: asyncio.Task[str | None]
    ) -> AsyncIterator[bytes]:
        """A page that says at once that a promotion takes a while, and at its end what became of it."""
        page = bytes(self._page(request, "promoting.html", "Models", asked=asked).body)
        begun, _, ended = page.partition(b"<!--then-->")
        yield begun
        why = await asyncio.shield(promotion)
        yield self._templates.get_template("promoted.html").render(asked=asked, problem=why).encode()
        yield ended

    def _rights(self, request: Request) -> dict[str, Any]:
        """Whether who asks may promote models, or may after signing in."""
        try:
            require_person(request, self._serving.admin_token)
        except RefusedError:
            return {"may_promote": False, "may_sign_in": self._serving.admin_token is not None}
        return {"may_promote": True, "may_sign_in": False}

    async def sign_in(self, request: Request) -> Response:
        """Ask for the admin token, and give a cookie for it."""
        if self._serving.admin_token is None:
            raise RefusedError(404, title="This service asks for no token: DIAMONDS_ADMIN_TOKEN is not set")
        if request.method != "POST":
            return self._page(request, "sign_in.html", "", to=request.query_params.get("to", ""))
        require_own_page(request)
        form = await form_of(request)
        answer = signed_in(form, self._serving.admin_token.get_secret_value())
        refused = {"to": form.get("to", ""), "problem": "That is not the token."}
        return answer or self._page(request, "sign_in.html", "", 401, **refused)

    def sign_out(self, request: Request) -> Response:
        """Take the cookie back."""
        require_own_page(request)
        answer = RedirectResponse("/", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    async def traffic(self, request: Request) -> Response:
        """The logged exchanges, newest first: a page for people, JSON for programs."""
        if is_for_people(request):
            return await self._show(request, lambda engine: traffic_page.page(engine, request.query_params))
        answer = await self._documents.traffic(request)
        answer.headers.update(TOLD_APART)
        return answer

    async def exchange(self, request: Request) -> Response:
        """The page of one exchange, with its bodies."""
        if not is_for_people(request):
            raise RefusedError(404)
        named, given = request.path_params["request_id"], request.query_params
        return await self._show(request, lambda engine: traffic_page.exchange(engine, named, given))

    async def _show(self, request: Request, read: Callable[[Engine], Shown]) -> Response:
        """A page of the traffic, for whom `require_person` lets in; it is rendered off the event loop."""
        token = self._serving.admin_token
        require_person(request, token)

        def made(engine: Engine) -> Response:
            shown = read(engine)
            known = {"has_signed_in": has_signed_in(request, token)}
            return self._page(request, shown.template, "Traffic", shown.status, **known, **shown.values)

        answer = await self._reading.read("traffic", made)
        answer.headers.update(GUARDED | TOLD_APART)
        return answer

    def _page(
        self, request: Request, template: str, here: str, status: int = 200, **values: Any  # noqa: ANN401 - its own
    ) -> Response:  # fmt: skip
        """A page; `here` is its name among the links that lead to all of them."""
        root = "../" * (request.url.path.count("/") - 1)
        known = {"here": here, "root": root, "plotly": plotly.script_name()}
        known |= {"stream_url": self._serving.stream_url(request.url.hostname)}
        return HTMLResponse(self._templates.get_template(template).render(known | values), status, HEADERS)

    def _refuse(self, request: Request, error: Exception) -> Response:
        """Answer with a problem what an endpoint refuses; a person reads it as a page, or is led to the sign-in."""
        refused = cast("RefusedError", error)
        if not is_for_people(request):
            return problem(refused)
        if refused.status == 401:  # noqa: PLR2004 - Unauthorized
            return RedirectResponse(f"/sign-in?{urlencode({'to': request.url.path.removeprefix('/')})}", 303)
        title = refused.title or problems.TITLES.get(refused.status, "That cannot be shown")
        return self._page(request, "refused.html", "", refused.status, title=title, refused=refused)
