"""Tables to take away, as CSV and as JSON, written as they are read: a million rows take no more memory than ten."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from diamonds.streams.live.door import Refusal
from diamonds.streams.memory.rows_table import RowsTable
from diamonds.streams.spec import FeedSpec

if TYPE_CHECKING:
    from diamonds.streams.running.runner import Runner

Lines = Iterable[Mapping[str, Any]]
#: Rows that are written at once.
AT_ONCE = 1000
#: The columns of tables that are empty; of others, those of their lines.
COLUMNS = {
    "history": ("version", "page", "rows", "at"),
    "rejects": ("page", "key", "reason", "raw", "counted", "first_seen", "resolved_at"),
    "events": ("at", "kind", "detail"),
    "coefficients": ("learner", "term", "estimate", "se", "low", "high"),
}
MEDIA = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


class Downloads:
    """The tables of one stream."""

    def __init__(self, runner: Runner, spec: FeedSpec, engine: Engine) -> None:
        """Read from the runner, and the rows from its database."""
        self._runner, self._spec, self._engine = runner, spec, engine
        self._tables: dict[str, Callable[[], Lines]] = {
            "rows": self._rows,
            "history": lambda: map(flat, runner.history()),
            "rejects": runner.rejects,
            "events": lambda: runner.events(10_000),
            "coefficients": self._coefficients,
        }

    def table(self, request: Request) -> Response:
        """The table that the path names, in the form that it ends in."""
        name, form = request.path_params["name"], request.path_params["form"]
        if name not in self._tables or form not in MEDIA:
            raise Refusal(404, f"there are {', '.join(self._tables)}, each as .csv and .json")
        lines = self._tables[name]()
        written = as_csv(lines, self._columns(name)) if form == "csv" else as_json(lines)
        saved = f'attachment; filename="{self._spec.name}_{name}.{form}"'
        headers = {"Cache-Control": "no-store", "Content-Disposition": saved}
        return StreamingResponse(written, headers=headers, media_type=MEDIA[form])

    def _columns(self, name: str) -> tuple[str, ...]:
        """Those that a table has while nothing is in it."""
        return self._spec.fields if name == "rows" else COLUMNS[name]

    def _rows(self) -> Lines:
        """Those that were learned by now, in the order in which they were."""
        return RowsTable(self._spec).read(self._engine, self._runner.snapshot().document["rows"])

    def _coefficients(self) -> Lines:
        learners = self._runner.snapshot().document["learners"]
        return ({"learner": name} | each for name, learner in learners.items() for each in learner["coefficients"])


def flat(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of the history as one line: `learner.term`, its ends, and `learner.score`."""
    line = {name: entry[name] for name in ("version", "page", "rows", "at")}
    for name, coefficients in entry["coefficients"].items():
        for each in coefficients:
            line |= {f"{name}.{each['term']}{end}": each[of] for end, of in ENDS.items()}
    return line | {
        f"{name}.{score}": value for name, scores in entry["scores"].items() for score, value in scores.items()
    }


ENDS = {"": "estimate", " low": "low", " high": "high"}


def as_csv(lines: Lines, columns: Iterable[str] = ()) -> Iterator[str]:
    """A line for each, under a line of names, which are these columns where there is none."""
    lines = iter(lines)
    begun = list(islice(lines, AT_ONCE * 3))  # a history is read whole: later entries know more terms
    names = list(dict.fromkeys(name for line in begun for name in line)) or list(columns)
    yield _csv([dict(zip(names, names, strict=True))], names)
    everything = chain(begun, lines)
    while some := list(islice(everything, AT_ONCE)):
        yield _csv(some, names)


def as_json(lines: Lines) -> Iterator[str]:
    """A list with an object on each line."""
    lines, before = iter(lines), "[\n"
    while some := list(islice(lines, AT_ONCE)):
        yield before + ",\n".join(json.dumps(line, default=_plain) for line in some)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def _csv(lines: Lines, names: list[str]) -> str:
    written = io.StringIO()
    writer = csv.DictWriter(written, names, extrasaction="ignore", lineterminator="\n")
    writer.writerows({name: _cell(value) for name, value in line.items()} for line in lines)
    return written.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict | list):
        return json.dumps(value, default=_plain)
    # A spreadsheet would run what begins like a formula; what is written here came from a feed.
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} has no form in JSON")
