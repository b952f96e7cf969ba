"""What is read rather than asked: the pages, the description of the API, the champion, the history and the traffic."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from diamonds import schema, web
from diamonds.service import cards, log, problems
from diamonds.service.exchange import EXPLAINED_BY, current, new_request_id
from diamonds.service.guard import require_admin
from diamonds.service.problems import RefusedError
from diamonds.service.state import Serving

logger = logging.getLogger(__name__)

Query = TypeVar("Query", bound=BaseModel)

#: Answers that are being read from the database, or wait to be: more would take the places of quotes.
MOST_READING = 32
HERE = Path(__file__).parent
#: Where BentoML keeps Swagger UI (Apache License 2.0), which so needs no copy here.
SWAGGER_UI = ("bentoml._internal.server", "static_content")
HEADERS = web.headers()


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
        self._templates = web.environment(HERE / "templates")

    def app(self) -> Starlette:
        """The app to mount at the root of the service."""
        assets = StaticFiles(directory=HERE / "static", packages=[web.ASSETS, SWAGGER_UI])
        return Starlette(
            routes=[
                Route("/", self.index),
                Route("/docs", self.docs),
                Route("/docs.json", self.document),
                Route("/champion", self.champion),
                Route("/history", self.history),
                Route("/traffic", self.traffic),
                Route("/traffic/counts", self.counts),
                Mount("/static", assets),
            ],
            exception_handlers={RefusedError: _refuse},
        )

    def index(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's
        """What this is, and which model serves."""
        champion = self._serving.champion
        card = cards.champion_card(champion.pricer, champion.folder, _request_id()) if champion else None
        return self._page("index.html", card=card, readiness=self._serving.readiness())

    def docs(self, request: Request) -> Response:
        """The API, to read and to try."""
        return self._page("docs.html", url=f"{request.url.scheme}://{request.url.netloc}")

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
        threads, engine = self._serving.reading, self._serving.engine
        if self._reading >= MOST_READING:
            raise RefusedError(503)
        self._reading += 1
        try:
            body = await asyncio.get_running_loop().run_in_executor(threads, read, engine, query, _request_id())
        except SQLAlchemyError as error:
            logger.error("the %s cannot be read: %s", subject, error)
            raise RefusedError(503, title=f"The {subject} cannot be read now: the database is away") from error
        finally:
            self._reading -= 1
        return Response(body, media_type="application/json")

    @cached_property
    def _document(self) -> dict[str, Any]:
        return self._describe()

    def _page(self, template: str, **values: Any) -> Response:  # noqa: ANN401 - what the template names
        return HTMLResponse(self._templates.get_template(template).render(values), headers=HEADERS)


def _request_id() -> str:
    """The id of the present exchange; pages are none."""
    exchange = current.get(None)
    return exchange.request_id if exchange else new_request_id()


def _json(answer: BaseModel) -> Response:
    return Response(answer.model_dump_json(), media_type="application/json")


def _refuse(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's
    """Answer with a problem what an endpoint refuses."""
    refused = cast("RefusedError", error)
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
