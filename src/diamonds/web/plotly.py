"""The script that draws the charts: Plotly's own, as its Python package brings it."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

FOR_GOOD = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}


@cache
def script_name() -> str | None:
    """What it is called here, by what it holds, so that a browser may keep it for good; None where it is missing."""
    place = _place()
    return f"plotly-{hashlib.sha256(place.read_bytes()).hexdigest()[:12]}" if place else None


def script(request: Request) -> Response:
    """The script."""
    place = _place()
    if place is None or request.path_params["name"] != script_name():
        return Response("there is no such script", 404)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(place.read_bytes(), headers=FOR_GOOD, media_type="text/javascript")
    return Response(_packed(), headers=FOR_GOOD | {"Content-Encoding": "gzip"}, media_type="text/javascript")


@cache
def _packed() -> bytes:
    place = _place()
    return gzip.compress(place.read_bytes(), 6, mtime=0) if place else b""


def _place() -> Path | None:
    found = find_spec("plotly")
    if found is None or not found.submodule_search_locations:
        return None
    place = Path(found.submodule_search_locations[0]) / "package_data/plotly.min.js"
    return place if place.is_file() else None
