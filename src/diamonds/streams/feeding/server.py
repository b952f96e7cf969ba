"""A feed as an HTTP API: pages of ten rows, described at `/docs` and `/redoc`."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Query, Request, Response
from fastapi_offline import FastAPIOffline
from pydantic import create_model

from diamonds.streams.feeding.faults import Faults, mistaken
from diamonds.streams.feeding.rows import Rows
from diamonds.streams.spec import FeedSpec

JSON = "application/json"
#: Longer than anybody waits for a page, in seconds.
HANG_SECONDS = 60.0
POLICY = "default-src 'self' 'unsafe-inline' blob:; img-src 'self' data:"
TYPES: dict[str, type] = {"number": float, "boolean": bool, "text": str}


class Pages:
    """The pages of a feed as it is at this moment."""

    def __init__(self, spec: FeedSpec, rows: Rows, visible: Callable[[], int], faults: Faults) -> None:
        """Serve the first `visible()` of the rows."""
        self._spec, self._rows, self._visible, self.faults = spec, rows, visible, faults

    def rows(self, number: int) -> list[dict[str, Any]]:
        """Those of a page; a negative number is the first page, as it is of the API that this stands in for."""
        size = self._spec.page_size
        start = max(number - self._spec.first_page, 0) * size
        most = self._visible() if self._rows.total is None else min(self._visible(), self._rows.total)
        if start >= most:
            return []
        return self.faults.spoil(self._rows.rows(start, min(start + size, most)), self._spec.key)


def make_app(
    spec: FeedSpec,
    rows: Rows,
    visible: Callable[[], int],
    *,
    faults: Faults | None = None,
    latency_seconds: float = 0.0,
) -> FastAPIOffline:
    """The API.

    Args:
        spec: The feed.
        rows: What it serves.
        visible: How many of them there are at this moment.
        faults: How it fails.
        latency_seconds: How long each answer takes.
    """
    pages = Pages(spec, rows, visible, faults or Faults())
    app = FastAPIOffline(title=f"Feed: {spec.name}", description=spec.about, version="1")
    fields: dict[str, Any] = {spec.key: (int, ...)}
    fields |= {name: (TYPES[column.type], ...) for name, column in spec.columns.items()}
    row = create_model("Row", **fields)
    number = Annotated[int, Query(alias=spec.page_parameter, description=f"from {spec.first_page}")]

    async def data(page: number) -> Response:
        """Up to ten rows, in the order of their ids; past the end an empty list."""
        if latency_seconds:
            await asyncio.sleep(latency_seconds)
        return await _answer(pages, spec, page)

    app.add_api_route(spec.path, data, response_model=list[row], summary="One page of rows")
    app.add_api_route("/livez", _livez, include_in_schema=False)
    app.middleware("http")(_closed)
    return app


async def _livez() -> dict[str, str]:
    """Whether it is up."""
    return {"status": "alive"}


async def _closed(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Let the pages of the documentation load nothing from elsewhere."""
    answer = await call_next(request)
    answer.headers["Content-Security-Policy"] = POLICY
    return answer


async def _answer(pages: Pages, spec: FeedSpec, number: int) -> Response:
    fault, drawn = pages.faults.next(number) if pages.faults.rate else (None, None)
    if fault is None or drawn is None:
        return Response(json.dumps(pages.rows(number)), media_type=JSON)
    if fault == "error":
        return Response("Internal Server Error", drawn.choice([500, 502, 503]), media_type="text/plain")
    if fault == "busy":
        return Response("Slow down", 429, {"Retry-After": "0"}, "text/plain")
    if fault == "hang":
        await asyncio.sleep(HANG_SECONDS)
    if fault == "reset":
        return Response(b"[", headers={"Content-Length": "1000"}, media_type=JSON)
    rows = pages.rows(number + drawn.choice([-1, 1]) if fault == "swapped" else number)
    return Response(mistaken(fault, rows, spec.key, drawn), media_type=JSON)
