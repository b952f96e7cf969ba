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
    401: "This needs the admin token, as the header Authorization: Bearer …",
    403: "This is only answered on the machine itself: DIAMONDS_ADMIN_TOKEN is not set",
    404: "There is nothing at this address",
    405: "This address does not take that method",
    408: "The request did not arrive whole in time",
    413: "The request is too large: at most 4 MiB are read",
    415: "Send JSON, with the header Content-Type: application/json",
    500: "Something went wrong here, not with your request",
    503: "Too much is asked at once: try again in a moment",
    504: "The answer took too long",
}


class RefusedError(Exception):
    """A request that is answered with a problem.

    Attributes:
        status: Of the answer.
        problems: What is wrong, field by field.
        title: In place of the status' own.
    """

    def __init__(self, status: int, problems: Iterable[Problem] = (), title: str | None = None) -> None:
        super().__init__(status, title)
        self.status = status
        self.problems = tuple(problems)
        self.title = title


def as_json(refused: RefusedError, request_id: str) -> bytes:
    """The body of a problem."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": refused.title or TITLES.get(refused.status) or HTTPStatus(refused.status).phrase,
        "status": refused.status,
        "request_id": request_id,
    }
    if errors := [asdict(each) for each in refused.problems]:
        body["errors"] = errors
    return json.dumps(body, allow_nan=False).encode()
