"""What programs read rather than post: the description of the API, the champion, the history and the traffic."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from diamonds.service import cards, log, problems
from diamonds.service.exchange import EXPLAINED_BY
from diamonds.service.guard import require_admin
from diamonds.service.problems import RefusedError
from diamonds.service.reading import Reading
from diamonds.service.requests import query, request_id
from diamonds.service.state import Serving

Query = TypeVar("Query", bound=BaseModel)


class Documents:
    """The routes that answer JSON."""

    def __init__(self, serving: Serving, reading: Reading, describe: Callable[[], dict[str, Any]]) -> None:
        """Read what is served from `serving`; `describe` makes the OpenAPI document, once."""
        self._serving, self._reading, self._describe = serving, reading, describe

    def document(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's
        """The API, for programs."""
        return JSONResponse(self._document)

    def champion(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's
        """The model that serves."""
        champion, market = self._serving.require_champion(), self._serving.market
        known = market.known_of(champion.pricer) if market else None
        card = cards.champion_card(champion.pricer, champion.folder, request_id(), known)
        return Response(card.model_dump_json(), media_type="application/json")

    async def history(self, request: Request) -> Response:
        """The newest runs and their models."""
        asked = query(request, cards.HistoryQuery, "The history cannot be shown like this")
        return await self._read("history", cards.newest, asked)

    async def traffic(self, request: Request) -> Response:
        """The logged exchanges, newest first."""
        self._require_admin(request)
        return await self._read("traffic", log.page, query(request, log.TrafficQuery, log.UNSHOWN))

    async def counts(self, request: Request) -> Response:
        """How many exchanges there were when."""
        self._require_admin(request)
        return await self._read("traffic", log.counted, query(request, log.CountsQuery, log.UNSHOWN))

    def _require_admin(self, request: Request) -> None:
        require_admin(dict(request.scope["headers"]), request.scope.get("client"), self._serving.admin_token)

    async def _read(self, subject: str, read: Callable[[Engine, Query, str], bytes], asked: Query) -> Response:
        named = request_id()  # threads do not know the exchange
        body = await self._reading.read(subject, lambda engine: read(engine, asked, named))
        return Response(body, media_type="application/json")

    @cached_property
    def _document(self) -> dict[str, Any]:
        return self._describe()


def problem(refused: RefusedError) -> Response:
    """What is refused, as a program reads it."""
    headers = {name.decode(): value.decode() for name, value in EXPLAINED_BY.get(refused.status, ())}
    return Response(problems.as_json(refused, request_id()), refused.status, headers, problems.CONTENT_TYPE)
