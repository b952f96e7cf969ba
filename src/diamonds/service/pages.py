"""What is read rather than asked: the pages, the description of the API, the champion, the history and the traffic."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlencode

from pydantic import BaseModel, ValidationError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from diamonds import schema, web
from diamonds.service import artefacts, cards, log, models_page, price_page, problems, promoting, run_page, wording
from diamonds.service.exchange import EXPLAINED_BY, current, new_request_id
from diamonds.service.guard import require_admin, require_own_page, require_person
from diamonds.service.hooks import DEADLINE_SECONDS
from diamonds.service.problems import RefusedError
from diamonds.service.sign_in import form_of, signed_in
from diamonds.service.state import Serving
from diamonds.web import plotly

logger = logging.getLogger(__name__)

Query = TypeVar("Query", bound=BaseModel)
Found = TypeVar("Found")

#: Answers that are being read from the database, or wait to be: more would take the places of quotes.
MOST_READING = 32
HERE = Path(__file__).parent
#: Where BentoML keeps Swagger UI (Apache License 2.0), which so needs no copy here.
SWAGGER_UI = ("bentoml._internal.server", "static_content")
#: Where runs of this machine leave their data, from the folder that the service was started in.
DATA = Path("data")
#: In seconds: who waits longer for a promotion is told so meanwhile. BentoML waits a little longer for an answer.
SOON = 3
HEADERS = web.headers(**web.PLOTLYS, form_action="'self'")


class Pages:
    """The routes that are read.

    None holds the event loop up: Starlette calls plain functions in threads, and what needs the database is read in
    the few that `serving` has for it, so that however many ask, connections are left for the log itself.
    """

    def __init__(self, serving: Serving, describe: Callable[[], dict[str, Any]]) -> None:
        """Read what is served from `serving`; `describe` makes the OpenAPI document, once."""
        self._serving = serving
        self._describe = describe
        self._reading = 0
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
                Route("/models", self.models),
                Route("/models/promote", self.promote, methods=["GET", "POST"]),
                Route("/models/{run_id:str}", self.run),
                Route("/models/{run_id:str}/{model:str}/{figure:str}.json", self.figure),
                Route("/docs", self.docs),
                Route("/docs.json", self.document),
                Route("/champion", self.champion),
                Route("/history", self.history),
                Route("/traffic", self.traffic),
                Route("/traffic/counts", self.counts),
                Route("/static/{name:str}.min.js", plotly.script),
                Mount("/static", assets),
            ],
            exception_handlers={RefusedError: self._refuse},
        )

    def price(self, request: Request) -> Response:
        """A form that prices a stone, and whose model prices it."""
        champion = self._serving.champion
        values = price_page.values(champion, _request_id()) | {"readiness": self._serving.readiness()}
        return self._page(request, "price.html", "Price", **values)

    def docs(self, request: Request) -> Response:
        """The API, to read and to try."""
        return self._page(request, "docs.html", "API", url=f"{request.url.scheme}://{request.url.netloc}")

    async def models(self, request: Request) -> Response:
        """The champion, and how every model of every run did."""
        query, champion = _query(request, models_page.ModelsQuery, models_page.UNSHOWN), self._serving.champion
        known: dict[str, Any] = self._rights(request) | {"readiness": self._serving.readiness()}
        return await self._from_database(
            "history",
            lambda engine: self._page(
                request, "models.html", "Models", **known, **models_page.values(engine, query, champion)
            ),
        )

    async def run(self, request: Request) -> Response:
        """One run and its models."""
        run_id: str = request.path_params["run_id"]
        known = self._rights(request)
        return await self._from_database(
            "history",
            lambda engine: self._page(request, "run.html", "Models", **known, **run_page.values(engine, run_id, DATA)),
        )

    def figure(self, request: Request) -> Response:
        """A figure that a run drew, as `kedro viz` shows it."""
        place = artefacts.figure_file(DATA, **request.path_params)
        if place is None:
            raise RefusedError(404, title="There is no such figure on this machine")
        return FileResponse(place, headers={"X-Content-Type-Options": "nosniff", **plotly.FOR_GOOD})

    async def promote(self, request: Request) -> Response:
        """Make a model champion, and lead back to the page of models."""
        if request.method != "POST":
            return RedirectResponse("/models", 303)
        require_person(request, self._serving.admin_token)
        asked = promoting.Promotion.of(await form_of(request))
        await self._from_database("history", lambda engine: promoting.require_known(engine, asked))
        promotion = asyncio.create_task(promoting.promote(promoting.command(), asked))
        self._promotions.add(promotion)  # it goes on where its caller leaves
        promotion.add_done_callback(self._promotions.discard)
        done, _ = await asyncio.wait({promotion}, timeout=SOON)
        if not done:
            return StreamingResponse(
                self._told_later(request, asked, promotion), media_type="text/html", headers=HEADERS
            )
        if problem := promotion.result():
            raise promoting.refused(409, problem)
        return RedirectResponse("/models?promoted=yes", 303)

    async def _told_later(
        self, request: Request, asked: promoting.Promotion, promotion: asyncio.Task[str | None]
    ) -> AsyncIterator[bytes]:
        """A page that says at once that a promotion takes a while, and at its end what became of it."""
        page = bytes(self._page(request, "promoting.html", "Models", asked=asked).body)
        begun, _, ended = page.partition(b"<!--then-->")
        yield begun
        problem = await asyncio.shield(promotion)
        yield self._templates.get_template("promoted.html").render(asked=asked, problem=problem).encode()
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

    def document(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's
        """The API, for programs."""
        return JSONResponse(self._document)

    def champion(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's
        """The model that serves."""
        champion, market = self._serving.require_champion(), self._serving.market
        known = market.known_of(champion.pricer) if market else None
        return _json(cards.champion_card(champion.pricer, champion.folder, _request_id(), known))

    async def history(self, request: Request) -> Response:
        """The newest runs and their models."""
        query = _query(request, cards.HistoryQuery, "The history cannot be shown like this")
        return await self._read("history", cards.newest, query)

    async def traffic(self, request: Request) -> Response:
        """The logged exchanges, newest first."""
        self._require_admin(request)
        return await self._read("traffic", log.page, _query(request, log.TrafficQuery, log.UNSHOWN))

    async def counts(self, request: Request) -> Response:
        """How many exchanges there were when."""
        self._require_admin(request)
        return await self._read("traffic", log.counted, _query(request, log.CountsQuery, log.UNSHOWN))

    def _require_admin(self, request: Request) -> None:
        require_admin(dict(request.scope["headers"]), request.scope.get("client"), self._serving.admin_token)

    async def _read(self, subject: str, read: Callable[[Engine, Query, str], bytes], query: Query) -> Response:
        """Answer with what the database says.

        Raises:
            RefusedError: It says nothing, or nothing in time.
        """
        request_id = _request_id()
        body = await self._from_database(subject, lambda engine: read(engine, query, request_id))
        return Response(body, media_type="application/json")

    async def _from_database(self, subject: str, read: Callable[[Engine], Found]) -> Found:
        """What the database says, read in a thread.

        Raises:
            RefusedError: It says nothing, or nothing in time.
        """
        threads, engine = self._serving.reading, self._serving.engine
        if self._reading >= MOST_READING:
            raise RefusedError(503)
        self._reading += 1
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):  # pages have no other
                return await asyncio.get_running_loop().run_in_executor(threads, read, engine)
        except TimeoutError as error:
            raise RefusedError(504) from error
        except SQLAlchemyError as error:
            logger.error("the %s cannot be read: %s", subject, error)
            raise RefusedError(503, title=f"The {subject} cannot be read now: the database is away") from error
        finally:
            self._reading -= 1

    @cached_property
    def _document(self) -> dict[str, Any]:
        return self._describe()

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
            return _problem(refused)
        if refused.status == 401:  # noqa: PLR2004 - Unauthorized
            return RedirectResponse(f"/sign-in?{urlencode({'to': request.url.path.removeprefix('/')})}", 303)
        title = refused.title or problems.TITLES.get(refused.status, "That cannot be shown")
        return self._page(request, "refused.html", "", refused.status, title=title, refused=refused)


def _request_id() -> str:
    """The id of the present exchange; pages are none."""
    exchange = current.get(None)
    return exchange.request_id if exchange else new_request_id()


def _json(answer: BaseModel) -> Response:
    return Response(answer.model_dump_json(), media_type="application/json")


def is_for_people(request: Request) -> bool:
    """Whether who asks wants a page, as a browser does; programs get JSON."""
    return "text/html" in request.headers.get("accept", "")


def _problem(refused: RefusedError) -> Response:
    headers = {name.decode(): value.decode() for name, value in EXPLAINED_BY.get(refused.status, ())}
    return Response(problems.as_json(refused, _request_id()), refused.status, headers, problems.CONTENT_TYPE)


def _query(request: Request, model: type[Query], title: str) -> Query:
    """What the address asks for.

    Raises:
        RefusedError: It does not hold; the problem, which has this title, says why.
    """
    given = request.query_params
    times = Counter(name for name, _ in given.multi_items())
    if twice := [name for name in model.model_fields if times[name] > 1]:
        told = [schema.Problem(name, f"{times[name]:,} times", "is given more than once") for name in twice]
        raise RefusedError(422, told, title)
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        told = schema.problems(error, model)
        # What is given by a name that means nothing here may be a token: the answer, which is kept, does not repeat it.
        told = [each if each.field in model.model_fields else replace(each, got=None) for each in told]
        raise RefusedError(422, told, title) from error
