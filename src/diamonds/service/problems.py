"""Problems in plain words, as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from diamonds.schema import Problem

CONTENT_TYPE = "application/problem+json"

TITLES = {
    400: "This is not JSON",
    404: "There is nothing at this address",
    405: "This address does not take that method",
    408: "The request ended before its body did",
    413: "The request is too large: at most 4 MiB are read",
    415: "Send JSON, with the header Content-Type: application/json",
    500: "Something went wrong here, not with your request",
    503: "No champion is loaded yet: train one with `kedro run`",
    504: "The answer took too long",
}


def problem(status: int, request_id: str, problems: Iterable[Problem] = (), title: str | None = None) -> bytes:
    """The body of a problem."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": title or TITLES.get(status) or HTTPStatus(status).phrase,
        "status": status,
        "request_id": request_id,
    }
    if errors := [asdict(each) for each in problems]:
        body["errors"] = errors
    return json.dumps(body, allow_nan=False).encode()
