"""A request as the pages and the documents read it: who asks, and for what."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from diamonds import schema
from diamonds.service.exchange import current, new_request_id
from diamonds.service.problems import RefusedError

Query = TypeVar("Query", bound=BaseModel)


def request_id() -> str:
    """The id of the present exchange; pages are none."""
    exchange = current.get(None)
    return exchange.request_id if exchange else new_request_id()


def is_for_people(request: Request) -> bool:
    """Whether who asks wants a page, as a browser does; programs get JSON."""
    return "text/html" in request.headers.get("accept", "")


def query(request: Request, model: type[Query], title: str) -> Query:
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
