"""What is read rather than asked: the pages, the description of the API, the champion and the history."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from jinja2 import Environment, FileSystemLoader
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from diamonds import schema
from diamonds.service import cards, problems
from diamonds.service.exchange import EXPLAINED_BY, current, new_request_id
from diamonds.service.problems import RefusedError
from diamonds.service.state import Serving
from diamonds.store import history as memory

logger = logging.getLogger(__name__)

HERE = Path(__file__).parent
#: Where BentoML keeps Swagger UI (Apache License 2.0), which so needs no copy here.
SWAGGER_UI = ("bentoml._internal.server", "static_content")
#: A page loads nothing from elsewhere and runs no script but ours; Swagger UI's icons are in its own stylesheet.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Pages:
    """The routes that are read. Each is a plain function, so that Starlette calls it off the event loop."""

    def __init__(self, serving: Serving, describe: Callable[[], dict[str, Any]]) -> None:
        """Read what is served from `serving`; `describe` makes the OpenAPI document, once."""
        self._serving = serving
        self._describe = describe
        self._templates = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True)

    def app(self) -> Starlette:
        """The app to mount at the root of the service."""
        assets = StaticFiles(directory=HERE / "static", packages=[SWAGGER_UI])
        return Starlette(
            routes=[
                Route("/", self.index),
                Route("/docs", self.docs),
                Route("/docs.json", self.document),
                Route("/champion", self.champion),
                Route("/history", self.history),
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
        champion = self._serving.require_champion()
        return _json(cards.champion_card(champion.pricer, champion.folder, _request_id()))

    def history(self, request: Request) -> Response:
        """The newest runs and their models."""
        limit = _query(request).limit
        try:
            runs = memory.runs(self._serving.engine, limit)
        except SQLAlchemyError as error:
            logger.error("the history cannot be read: %s", error)
            raise RefusedError(503, title="The history cannot be read now: the database is away") from error
        return _json(cards.history(runs, _request_id()))

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


def _query(request: Request) -> cards.HistoryQuery:
    """What the address asks for; what it says twice is a list, which no parameter can be."""
    given = request.query_params
    asked = {name: given[name] if len(given.getlist(name)) == 1 else given.getlist(name) for name in given}
    try:
        return cards.HistoryQuery.model_validate(asked)
    except ValidationError as error:
        wrong = schema.problems(error, cards.HistoryQuery)
        raise RefusedError(422, wrong, "The history cannot be shown like this") from error
