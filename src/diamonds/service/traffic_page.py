"""The page of the traffic log: how the service fares now, and its exchanges, newest first, each to be opened."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlencode

from pydantic import UUID7, TypeAdapter, ValidationError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from diamonds.moments import written
from diamonds.service import log, pulse
from diamonds.service.doors import DOORS
from diamonds.service.log import PATIENCE_SECONDS, TrafficQuery
from diamonds.service.problems import RefusedError
from diamonds.service.pulse import Bucket
from diamonds.store import lookups
from diamonds.store.lookups import Asked

logger = logging.getLogger(__name__)

#: Exchanges of one page.
SHOWN = 50
#: What can be asked for, each with what it has to be.
FILTERS = {
    "since": "must be a moment such as 2026-11-21T16:30",
    "until": "must be a moment such as 2026-11-21T16:30",
    "path": "must be a path such as /predict",
    "status": "must be a number from 100 to 599, such as 422",
    "version": "must be the version of a model",
}
MOMENTS = ("since", "until")
#: A moment as a field for it sends it.
LOCAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?")
ROUTES = (*DOORS, "/champion", "/history", "/traffic", "/traffic/counts")
SPANS = {"hour": "Last hour, by minute", "day": "Last day, by hour"}
AWAY = "The traffic cannot be read now: the database is away. Exchanges wait in the outbox meanwhile."
FOUND_TOO_LATE = (
    f"It took longer than {PATIENCE_SECONDS} seconds to find these: narrow them by time, or filter by less."
)
COUNTED_TOO_LATE = f"It takes longer than {PATIENCE_SECONDS} seconds to count the requests now."
NO_SUCH = "The log has no exchange of this name: it never was, was pruned, or is still on its way to the database."


class Shown(NamedTuple):
    """What a page is rendered from.

    Attributes:
        template: Its name.
        status: Of the answer.
        values: What the template names.
    """

    template: str
    status: int
    values: dict[str, Any]


@dataclass(frozen=True)
class Form:
    """What a person asks for.

    Attributes:
        typed: The filters as they were typed, those that are empty left out.
        wrong: What is wrong with them, by field.
        query: What they mean; None where they mean nothing.
    """

    typed: dict[str, str]
    wrong: dict[str, str]
    query: TrafficQuery | None

    def value(self, field: str) -> str:
        """What a field is filled in with: what was typed, as far as its kind can show that."""
        found, typed = getattr(self.query, field, None), self.typed.get(field, "")
        if isinstance(found, datetime) and not LOCAL.fullmatch(typed):
            return found.strftime("%Y-%m-%dT%H:%M:%S")
        return typed

    def step(self, field: str) -> str:
        """What a moment with seconds needs to be shown and sent with them."""
        return ' step="1"' if self.value(field).count(":") > 1 else ""

    def kind(self, field: str) -> str:
        """The kind of a field: what was typed and is no moment can only be shown as text."""
        return "datetime-local" if field in MOMENTS and field not in self.wrong else "text"


def form_of(given: Mapping[str, str]) -> Form:
    """What the address asks for; what the form does not have is not looked at.

    >>> form_of({"status": "ok"}).wrong
    {'status': 'must be a number from 100 to 599, such as 422'}
    """
    typed = {name: given[name].strip() for name in (*FILTERS, "before") if given.get(name, "").strip()}
    chosen = {"span": "day"} if given.get("span") == "day" else {}
    try:
        query = TrafficQuery.model_validate(typed | {"limit": SHOWN})
    except ValidationError as error:
        fields = {str(each["loc"][0]) for each in error.errors()}
        return Form(typed | chosen, {each: FILTERS.get(each, "names no exchange") for each in fields}, None)
    if query.since and query.until and query.since >= query.until:
        return Form(typed | chosen, {"until": "must be later than where it begins"}, None)
    return Form(typed | chosen, {}, query)


def page(engine: Engine, given: Mapping[str, str]) -> Shown:
    """The page that an address asks for: all of it, or with `part=live` what is shown anew every few seconds."""
    live = _live(engine, "day" if given.get("span") == "day" else "hour")
    if given.get("part") == "live":
        return Shown("traffic_live.html", 503 if "trouble" in live else 200, live)
    form = form_of(given)
    listed, status = _listed(engine, form)
    known = {"form": form, "spans": SPANS, "routes": ROUTES, "meanings": pulse.MEANINGS}
    return Shown("traffic.html", status, known | live | listed)


def exchange(engine: Engine, request_id: str, given: Mapping[str, str]) -> Shown:
    """The page of one exchange, or with `part=exchange` what is shown of it in the list.

    Raises:
        RefusedError: There is none.
        SQLAlchemyError: The database is away.
    """
    try:
        known = str(TypeAdapter(UUID7).validate_python(request_id))
    except ValidationError as error:
        raise RefusedError(404, title=NO_SUCH) from error
    found = lookups.exchange(engine, known, PATIENCE_SECONDS)
    if found is None:
        raise RefusedError(404, title=NO_SUCH)
    template = "traffic_part.html" if given.get("part") == "exchange" else "exchange.html"
    bodies = [_body(found, "request"), _body(found, "response")]
    return Shown(template, 200, {"exchange": _line(found), "bodies": bodies})


def _live(engine: Engine, chosen: str) -> dict[str, Any]:
    """The last hour and the last day, and errors by their status, the most frequent first."""
    now = datetime.now(UTC)
    known = {"now": now, "chosen": chosen, "address": _address}
    try:
        hour = pulse.span(engine, now, "minute", 60, PATIENCE_SECONDS)
        day = pulse.span(engine, now, "hour", 24, PATIENCE_SECONDS)
        newest = next(lookups.exchanges(engine, Asked(), 1, PATIENCE_SECONDS, ("request_id",)), None)
    except SQLAlchemyError as error:
        return known | {"trouble": _trouble(error, COUNTED_TOO_LATE)}
    of_hour, of_day = hour.total, day.total
    return known | {
        "totals": {"hour": of_hour, "day": of_day},
        "shown": day if chosen == "day" else hour,
        "errors": _errors(of_hour, of_day),
        "newest": newest["request_id"] if newest else "",
    }


def _errors(hour: Bucket, day: Bucket) -> list[tuple[int, str, str, int, int]]:
    """Each status of an error, its kind, what it means, and how many there were in the hour and the day."""
    frequent = sorted(day.by_status.items(), key=lambda each: -each[1])
    return [
        (status, pulse.kind(status), pulse.meaning(status), hour.by_status.get(status, 0), number)
        for status, number in frequent
        if pulse.kind(status) != pulse.ANSWERED
    ]


def _listed(engine: Engine, form: Form) -> tuple[dict[str, Any], int]:
    """The exchanges that are asked for, and the status of the page."""
    if form.query is None:
        return {"lines": [], "unlisted": f"{log.UNSHOWN}: see what is said beside the filters."}, 422
    asked = form.query
    before = str(asked.before) if asked.before else None
    filters = Asked(asked.since, asked.until, asked.path, asked.status, asked.version, before)
    try:
        found = list(lookups.exchanges(engine, filters, SHOWN + 1, PATIENCE_SECONDS, lookups.BRIEF))
    except SQLAlchemyError as error:
        return {"lines": [], "unlisted": _trouble(error, FOUND_TOO_LATE)}, 503
    older = _address(form.typed, before=found[SHOWN - 1]["request_id"]) if len(found) > SHOWN else None
    return {"lines": [_line(each) for each in found[:SHOWN]], "older": older}, 200


def _trouble(error: SQLAlchemyError, too_late: str) -> str:
    if lookups.took_too_long(error):
        return too_late
    logger.error("the traffic cannot be read: %s", error)
    return AWAY


def _address(typed: Mapping[str, str], **changes: str | None) -> str:
    """The page with these filters, changed; None leaves one out."""
    asked = {name: value for name, value in {**typed, **changes}.items() if value}
    return f"traffic?{urlencode(asked)}" if asked else "traffic"


def _line(found: dict[str, Any]) -> dict[str, Any]:
    """An exchange as it is listed."""
    status = found["status"]
    return found | {
        "kind": pulse.kind(status),
        "meaning": pulse.meaning(status),
        "reason": HTTPStatus(status).phrase if status in set(HTTPStatus) else "",
        "written": written(found["received_at"].replace(microsecond=0)),
        "when": found["received_at"].strftime("%Y-%m-%d %H:%M:%S"),
    }


def _body(found: dict[str, Any], name: str) -> dict[str, Any]:
    """A body as it is shown: `text`, None where there was none, and of which `bytes` if it `is_cut`."""
    text = readable(found[f"{name}_body"])
    sha256, size = found[f"{name}_sha256"], found[f"{name}_bytes"]
    kept = len(text.encode("utf-8", "replace")) if text else 0
    return {"name": name.capitalize(), "text": text, "bytes": size, "sha256": sha256, "kept": kept}


def readable(body: str | None) -> str | None:
    r"""JSON as people read it, and a text as it is; None where there is none.

    >>> readable('{"carat":1.1}'), readable('"not \u00b1 JSON"'), readable(None)
    ('{\n  "carat": 1.1\n}', 'not ± JSON', None)
    """
    if body is None:
        return None
    try:
        found = json.loads(body)
        shown = found if isinstance(found, str) else json.dumps(found, indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):  # deeper, or with more digits, than Python reads: as it is kept
        shown = body
    return shown.encode("utf-8", "replace").decode()
