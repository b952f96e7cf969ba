"""The OpenAPI document: what can be asked of the service and what it answers, made from the types of its routes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol, get_type_hints

from pydantic import BaseModel, Field, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from diamonds import schema
from diamonds.service import cards, examples, log, problems
from diamonds.service.doors import Door

JSON, TEXT = "application/json", "text/plain"
DIAMONDS, MODELS, TRAFFIC, MACHINES = "Diamonds", "Models", "Traffic", "For machines"
#: The schemas of bodies and answers, by path and by what they are for.
Schemas = Mapping[tuple[str, JsonSchemaMode], Any]
REFUSAL: tuple[str, JsonSchemaMode] = ("refusal", "serialization")
REFERENCE_TO_REFUSAL = {"$ref": "#/components/schemas/Refusal"}

ABOUT = """
Prices diamonds, shows stones like them, and says why a price is what it is.

A diamond is a flat JSON object. Its weight (`carat`) and grades (`cut`, `color`, `clarity`) are required, its
measurements are not: what is missing is estimated, the answer says so in `assumed`, and the band is wider.
Grades are understood whatever their case and spacing: `"very good"` is `"Very Good"`. A field with a name that is not
known is refused, so that a misspelt one does not go unnoticed.

Prices are US dollars. Every answer has a `request_id`, by which the exchange can be found in the log.
Whatever goes wrong is answered as `application/problem+json` (RFC 9457), in plain words.
"""

GUARDED = (
    "Needs the token of the service as `Authorization: Bearer …`; where the service has none, only its own machine is"
    " let in."
)
#: What each route is for, beyond the first line of its own docstring.
MORE = {
    "/predict": "Of ten stones like it, nine (`confidence`) cost between `low` and `high`. `outside` names what lies"
    " beyond the stones that the model has learned from: take such a price with caution. Where the service"
    " follows a market, `price`, `low` and `high` are the model's times `market_index`, learned from `as_of_rows` rows"
    " of a feed; where it follows none, both are absent.",
    "/predict/batch": "1 to 10,000 stones at once; the quotes come in the order of the stones. One stone that cannot"
    " be priced refuses the whole batch, and the problem names its position.",
    "/similar": "At most `n` stones, with exactly this cut, color and clarity, and what they cost. Fewer where there"
    " are fewer, none where there is none.",
    "/explain": "The factors multiply `base_price`, the usual price of a stone, to the quoted price; the dollars add up"
    " to it. Where the service follows a market, `market_index` is one of the effects.",
    "/sales": "`request_id` is that of the quote, `position` says which stone of a batch (the first is 0). The same"
    f" sale twice is one sale. {GUARDED}",
    "/traffic": "With their bodies, except that of one of more than 64 KiB only the beginning is kept. A page ends at"
    f" `limit`, or once it holds more than 4 MiB; `next` says where to go on. {GUARDED}",
    "/traffic/counts": f"For each minute or hour and each status: how many, and how long they took. {GUARDED}",
}

MEANINGS = {
    400: "The body is not JSON",
    401: "The token is missing or wrong",
    403: "The service has no token, so only its own machine is let in",
    404: "No quote has this `request_id`",
    405: "The address does not take the method; `Allow` names those it takes",
    408: "The body did not arrive in time",
    413: "The body is larger than 4 MiB",
    415: "The body is not sent as `application/json`",
    422: "What is asked for does not hold; `errors` says where and why",
    503: "It cannot be answered now: no model is loaded yet, the database is away, or there is too much to do",
    504: "The answer took too long",
}
OF_EVERY_ROUTE = (405, 503, 504)
OF_A_BODY = (400, 408, 413, 415, 422)
OF_A_GUARDED = (401, 403)
#: What a route may answer besides, whatever its kind.
OF_ITS_OWN = {"/sales": (404,)}
HEADERS: dict[int, dict[str, Any]] = {
    405: {"Allow": {"description": "the methods it takes", "schema": {"type": "string"}}},
    503: {"Retry-After": {"description": "seconds to wait", "required": True, "schema": {"type": "integer"}}},
}


class Api(Protocol):
    """A POST route as BentoML knows it."""

    route: str
    func: Callable[..., Any]


class Refusal(BaseModel):
    """What went wrong, in plain words (RFC 9457)."""

    type: str = Field(description="always about:blank: the status says what kind of problem it is")
    title: str = Field(description="what went wrong, in one sentence")
    status: int = Field(description="the HTTP status")
    request_id: str = Field(description="names the exchange in the log")
    errors: list[schema.Problem] = Field([], description="each thing that is wrong: the field, what was got, and why")


@dataclass(frozen=True)
class Operation:
    """One thing that can be asked.

    Attributes:
        body: The type of what is sent; None where nothing is.
        query: The model of what the address may ask for.
        answer: The type of what is answered; None where it is text for machines.
        statuses: What may be answered besides 200.
        guarded: Whether it changes what is known or shows logged bodies, and so asks for the token.
    """

    method: str
    path: str
    summary: str
    tag: str
    answer: Any
    body: Any = None
    query: type[BaseModel] | None = None
    statuses: tuple[int, ...] = OF_EVERY_ROUTE
    guarded: bool = False


READ = (
    Operation("get", "/champion", "The model that serves", MODELS, cards.ChampionCard),
    Operation(
        "get", "/history", "The runs of the training and their models, newest first", MODELS, cards.History,
        query=cards.HistoryQuery, statuses=(*OF_EVERY_ROUTE, 422),
    ),
    Operation(
        "get", "/traffic", "The logged requests and their answers, newest first", TRAFFIC, log.TrafficPage,
        query=log.TrafficQuery, statuses=(*OF_EVERY_ROUTE, *OF_A_GUARDED, 422), guarded=True,
    ),
    Operation(
        "get", "/traffic/counts", "How many requests there were, and how long they took", TRAFFIC, log.Counts,
        query=log.CountsQuery, statuses=(*OF_EVERY_ROUTE, *OF_A_GUARDED, 422), guarded=True,
    ),
    Operation("get", "/livez", "Whether the service runs", MACHINES, None, statuses=()),
    Operation("get", "/readyz", "Whether it can price: 503 until a model is loaded", MACHINES, None, statuses=(503,)),
    Operation("get", "/metrics", "Counts and durations, for Prometheus", MACHINES, None, statuses=()),
)  # fmt: skip


def document(apis: Iterable[Api], doors: Mapping[str, Door]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of these POST routes, by whose doors they are guarded, and of what is read."""
    operations = [*(_posted(api, guarded=doors[api.route].guarded) for api in apis), *READ]
    schemas, definitions = _schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Diamonds", "version": "1", "description": ABOUT.strip()},
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in (DIAMONDS, MODELS, TRAFFIC, MACHINES)],
        "paths": paths,
        "components": {
            "schemas": definitions,
            "responses": {str(status): _refusal(status) for status in MEANINGS},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "the service's own token"}
            },
        },
    }


def _posted(api: Api, *, guarded: bool) -> Operation:
    types = get_type_hints(api.func, include_extras=True)
    answer = types.pop("return")
    summary = (inspect.getdoc(api.func) or api.route).splitlines()[0].rstrip(".")
    statuses = (*OF_EVERY_ROUTE, *OF_A_BODY, *(OF_A_GUARDED if guarded else ()), *OF_ITS_OWN.get(api.route, ()))
    (body,) = types.values()
    return Operation(
        "post", api.route, summary, DIAMONDS, answer, body=body, statuses=statuses, guarded=guarded
    )  # fmt: skip


def _schemas(operations: Iterable[Operation]) -> tuple[Schemas, dict[str, Any]]:
    """The schemas of all bodies and answers, and the definitions that they share."""
    inputs: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = [(*REFUSAL, TypeAdapter(Refusal))]
    for each in operations:
        if each.body is not None:
            inputs.append((each.path, "validation", TypeAdapter(each.body)))
        if each.answer is not None:
            inputs.append((each.path, "serialization", TypeAdapter(each.answer)))
    schemas, shared = TypeAdapter.json_schemas(inputs, ref_template="#/components/schemas/{model}")
    return schemas, shared["$defs"]


def _described(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": MORE.get(operation.path, ""),
        "operationId": operation.path.strip("/").replace("/", "_"),
        "responses": _texts(operation) if operation.answer is None else _responses(operation, schemas),
    }
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": {JSON: _asked(operation.path, schemas)}}
    if operation.query is not None:
        described["parameters"] = _parameters(operation.query)
    if operation.guarded:
        described["security"] = [{"token": []}, {}]
    return described


def _responses(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    answered: dict[str, Any] = {"schema": schemas[operation.path, "serialization"]}
    if operation.path in examples.ANSWERS:
        answered["example"] = examples.ANSWERS[operation.path]
    refused = {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(operation.statuses)}
    return {"200": {"description": "The answer", "content": {JSON: answered}}} | refused


def _texts(operation: Operation) -> dict[str, Any]:
    answers = {200: {TEXT: {"schema": {"type": "string"}}}}
    answers |= {status: {problems.CONTENT_TYPE: {"schema": REFERENCE_TO_REFUSAL}} for status in operation.statuses}
    return {
        str(status): {"description": HTTPStatus(status).phrase, "content": content}
        for status, content in answers.items()
    }


def _refusal(status: int) -> dict[str, Any]:
    body: dict[str, Any] = {"schema": REFERENCE_TO_REFUSAL}
    if status in examples.PROBLEMS:
        body["example"] = examples.PROBLEMS[status]
    refusal = {"description": MEANINGS[status], "content": {problems.CONTENT_TYPE: body}}
    return refusal | ({"headers": HEADERS[status]} if status in HEADERS else {})


def _asked(path: str, schemas: Schemas) -> dict[str, Any]:
    body: dict[str, Any] = {"schema": schemas[path, "validation"]}
    if path in examples.REQUESTS:
        body["examples"] = {name: {"value": value} for name, value in examples.REQUESTS[path].items()}
    return body


def _parameters(query: type[BaseModel]) -> list[dict[str, Any]]:
    fields = query.model_json_schema()["properties"]
    return [
        {"name": name, "in": "query", "description": field.pop("description", ""), "schema": _never_null(field)}
        for name, field in fields.items()
    ]


def _never_null(field: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter that can be left out, but not be null: an address has no word for that."""
    if "anyOf" not in field:
        return field
    given: dict[str, Any] = next(each for each in field["anyOf"] if each != {"type": "null"})
    return {key: value for key, value in field.items() if key not in {"anyOf", "default"}} | given
