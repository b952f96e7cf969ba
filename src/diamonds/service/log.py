"""What is told of the traffic log: its exchanges, a page at a time, and how many there were when."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import UUID7, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError
from sqlalchemy import Engine

from diamonds import moments
from diamonds.moments import written
from diamonds.schema import Problem
from diamonds.service.messages import REQUEST_ID
from diamonds.service.problems import RefusedError
from diamonds.store import lookups
from diamonds.store.lookups import Asked, Per

#: A page that holds more characters than this ends.
MOST_CHARACTERS = 4 * 1024 * 1024
#: So many minutes or hours are counted at once.
MOST_BUCKETS = 10_000
#: How long the database may take for a piece of an answer: the caller was told before that it takes too long.
PATIENCE_SECONDS = 5
UNSHOWN = "The traffic cannot be shown like this"


def _moment(text: str) -> datetime:
    try:
        return moments.moment(text)
    except ValueError as error:
        raise PydanticCustomError("moment", "{problem}", {"problem": f"{error} (in an address, + is %2B)"}) from error


Moment = Annotated[datetime, BeforeValidator(_moment)]
_ZONE = "ISO 8601; UTC where no zone is given"


class TrafficQuery(BaseModel):
    """Which exchanges are asked for."""

    model_config = ConfigDict(extra="forbid")

    since: Moment | None = Field(None, description=f"only those received then or later ({_ZONE})")
    until: Moment | None = Field(None, description=f"only those received before ({_ZONE})")
    path: str | None = Field(None, description="only those of this path")
    status: int | None = Field(None, ge=100, le=599, description="only those answered with this status")
    version: str | None = Field(None, description="only those answered by the model of this version")
    limit: int = Field(50, ge=1, le=1000, description="how many at most")
    before: UUID7 | None = Field(
        None,
        description="only those with a lesser `request_id`: the `next` of the page before",
        json_schema_extra={"pattern": REQUEST_ID},
    )  # fmt: skip


class LoggedExchange(BaseModel):
    """A request and its answer, as they are kept."""

    request_id: str
    received_at: datetime = Field(description="UTC")
    duration_ms: float = Field(description="from the request's arrival until its answer left, in milliseconds")
    method: str
    path: str
    status: int
    request_body: Any = Field(
        description="JSON; a string where it was none, or is not kept whole; null if there was none"
    )
    response_body: Any = Field(description="likewise")
    model: str | None = Field(description="that answered, where one did")
    version: str | None = Field(description="of this model")
    client: str | None = Field(description="the caller's address")
    request_bytes: int | None = Field(description="how many arrived")
    response_bytes: int | None = Field(description="how many were answered")
    request_sha256: str | None = Field(description="of the body as it arrived, only where it is not kept whole")
    response_sha256: str | None = Field(description="of the body as it was answered, only where it is not kept whole")


class TrafficPage(BaseModel):
    """Exchanges, newest first."""

    exchanges: list[LoggedExchange]
    next: str | None = Field(description="ask again with `before` this for those that follow; null where none do")
    request_id: str


class CountsQuery(BaseModel):
    """Which exchanges are counted, and by what time."""

    model_config = ConfigDict(extra="forbid")

    since: Moment | None = Field(None, description=f"from then on; a day before `until` if not given ({_ZONE})")
    until: Moment | None = Field(None, description=f"until just before then; now if not given ({_ZONE})")
    per: Per = Field("hour", description="what is counted together")


class Count(BaseModel):
    """The exchanges of one minute or hour that were answered with one status."""

    moment: datetime = Field(description="its beginning, UTC")
    status: int
    exchanges: int = Field(description="how many there were")
    mean_ms: float = Field(description="how long they took on average, in milliseconds")
    slowest_ms: float = Field(description="how long the slowest took")


class Counts(BaseModel):
    """The exchanges counted, oldest first; what there was none of is left out."""

    counts: list[Count]
    request_id: str


def page(engine: Engine, query: TrafficQuery, request_id: str) -> bytes:
    """A `TrafficPage` as JSON, which ends early once it is large.

    Raises:
        RefusedError: No time is between the two moments.
        DBAPIError: The database is away.
    """
    _require_order(query.since, query.until)
    asked = Asked(
        query.since, query.until, query.path, query.status, query.version, str(query.before) if query.before else None
    )
    shown, last = _fill(lookups.exchanges(engine, asked, query.limit + 1, PATIENCE_SECONDS), query.limit)
    return f'{{"exchanges":[{",".join(shown)}],"next":{json.dumps(last)},"request_id":"{request_id}"}}'.encode()


def _fill(found: Iterable[dict[str, Any]], limit: int) -> tuple[list[str], str | None]:
    """What one page has room for, as JSON, and the id of its last exchange if there is more than that."""
    shown: list[str] = []
    characters, last = 0, None
    for exchange in found:
        if len(shown) == limit or characters > MOST_CHARACTERS:
            return shown, last
        shown.append(lookups.as_json(exchange))
        characters += len(shown[-1])
        last = exchange["request_id"]
    return shown, None


def counted(engine: Engine, query: CountsQuery, request_id: str) -> bytes:
    """`Counts` as JSON.

    Raises:
        RefusedError: No time is between the two moments, or more than is counted at once.
        DBAPIError: The database is away.
    """
    until = query.until or datetime.now(UTC)
    since = query.since or until - lookups.DAY
    _require_order(since, until)
    _require_few(since, until, query.per)
    found = lookups.counts(engine, since, until, query.per, PATIENCE_SECONDS)
    return json.dumps({"counts": list(found), "request_id": request_id}, default=written).encode()


def _require_order(since: datetime | None, until: datetime | None) -> None:
    if since and until and since >= until:
        problem = f"must be later than since ({written(since)}), or nothing lies between them"
        raise RefusedError(422, [Problem("until", written(until), problem)], UNSHOWN)


def _require_few(since: datetime, until: datetime, per: Per) -> None:
    buckets = (until - since) / timedelta(**{f"{per}s": 1})
    if buckets > MOST_BUCKETS:
        problem = f"lies {buckets:,.0f} {per}s before until; at most {MOST_BUCKETS:,} are counted at once"
        raise RefusedError(422, [Problem("since", written(since), problem)], UNSHOWN)
