"""`diamonds traffic`: what was asked of the service and what it answered, read from the database itself."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import Any
from uuid import UUID

import click
from rich.markup import escape
from rich.table import Table

from diamonds import moments
from diamonds.cli.speech import as_json, console, database, plainly
from diamonds.moments import written
from diamonds.store import lookups
from diamonds.store import traffic as log
from diamonds.store.lookups import Asked, Per

COUNTS = ("moment", "status", "exchanges", "mean_ms", "slowest_ms")
#: Lines of one table; those that follow are another, so that no more are held.
LINES = 1000
#: What is younger may still be on its way, and is what the service is being asked about.
LEAST_AGE = timedelta(days=1)

Row = dict[str, Any]


Option = Callable[[click.Context, click.Parameter, str | None], Any]


def _by(read: Callable[[str], Any]) -> Option:
    """How an option is read from its text, and refused in the reader's own words, its ValueError."""

    def option(context: click.Context, parameter: click.Parameter, text: str | None) -> Any:  # noqa: ANN401, ARG001
        try:
            return None if text is None else read(text)
        except ValueError as error:
            raise click.BadParameter(f"{text!r} {error}") from error

    return option


def _prunable(text: str) -> timedelta:
    if (found := moments.age(text)) < LEAST_AGE:
        raise ValueError("is too young, for it may still be on its way: prune what is 1d old or older")
    return found


MOMENT: dict[str, Any] = {"metavar": "MOMENT|AGE", "callback": _by(moments.moment_or_age)}
until_option = click.option("--until", **MOMENT, help="Only before this moment, or so long ago.")
as_csv = click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")


@click.group(invoke_without_command=True)
@click.option("--since", **MOMENT, help="Only since this moment (UTC if it names no zone), or so long ago: 12h, 90d.")
@until_option
@click.option("--path", help="Only this path.")
@click.option("--status", type=click.IntRange(100, 599), help="Only this status.")
@click.option("--version", help="Only what the model of this version answered.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many at most.")
@click.option("--before", type=click.UUID, help="Only what is older than the exchange with this request_id.")
@as_json
@as_csv
@click.pass_context
@plainly
def traffic(
    context: click.Context, /, limit: int, before: UUID | None, as_json: bool, as_csv: bool, **filters: Any  # noqa: ANN401
) -> None:  # fmt: skip
    """The logged requests and answers, newest first; bodies only as JSON or CSV."""
    if context.invoked_subcommand is not None:
        _require_no_options(context)
        return
    asked = Asked(**filters, before=str(before) if before else None)
    found = lookups.exchanges(database(), asked, limit)
    if as_json:
        _print_list(map(lookups.as_json, found))
    elif as_csv:
        _print_csv(lookups.COLUMNS, found)
    else:
        _print_tables(_exchanges_table, found)


def _require_no_options(context: click.Context) -> None:
    """What is given before a subcommand would narrow nothing."""
    source = context.get_parameter_source
    given = [name for name in context.params if source(name) == click.core.ParameterSource.COMMANDLINE]
    if given:
        options = ", ".join(f"--{name.removeprefix('as_')}" for name in given)
        raise click.UsageError(f"{options}: give options after {context.invoked_subcommand}, not before it")


@traffic.command()
@click.option("--since", **MOMENT, help="From this moment on, or so long ago; by default a day before the end.")
@until_option
@click.option(
    "--per", type=click.Choice(["minute", "hour"]), default="hour", show_default=True, help="What is added up."
)
@as_json
@as_csv
@plainly
def counts(since: datetime | None, until: datetime | None, per: Per, as_json: bool, as_csv: bool) -> None:
    """How many requests were answered with which status, and how long they took; oldest first."""
    end = until or datetime.now(UTC)
    found = lookups.counts(database(), since or end - lookups.DAY, end, per)
    if as_json:
        _print_list(json.dumps(row, default=written) for row in found)
    elif as_csv:
        _print_csv(COUNTS, found)
    else:
        _print_tables(_counts_table, found)


@traffic.command()
@click.option(
    "--older-than",
    required=True,
    metavar="AGE",
    callback=_by(_prunable),
    help="From which age on, such as 90d; at least 1d.",
)
@plainly
def prune(older_than: timedelta) -> None:
    """Remove the exchanges of this age and older, for good; sales stay."""
    before = datetime.now(UTC) - older_than
    removed = log.prune(database(), before)
    click.echo(f"Removed {removed:,} exchange{'' if removed == 1 else 's'} from before {before:%Y-%m-%d %H:%M} UTC.")


def _print_list(items: Iterable[str]) -> None:
    """Print a JSON list piece by piece."""
    separator = "["
    for item in items:
        sys.stdout.write(f"{separator}{item}")
        separator = ",\n"
    sys.stdout.write("]\n" if separator != "[" else "[]\n")


def _print_csv(columns: Sequence[str], rows: Iterable[Row]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_plain(row[name]) for name in columns] for row in rows)


def _plain(value: object) -> object:
    return written(value) if isinstance(value, datetime) else value


def _print_tables(table: Callable[[Sequence[Row]], Table], rows: Iterator[Row]) -> None:
    first = list(islice(rows, LINES))
    if not first:
        click.echo("Nothing like this is logged.")
        return
    out = console()
    for lines in chain([first], iter(lambda: list(islice(rows, LINES)), [])):
        out.print(table(lines), highlight=False)


def _exchanges_table(exchanges: Sequence[Row]) -> Table:
    table = Table("time (UTC)", "method", "path", "status", box=None, padding=(0, 2))
    table.add_column("ms", justify="right")
    for column in ("model", "client"):
        table.add_column(column)
    table.add_column("request_id", no_wrap=True)
    for each in exchanges:
        model = " ".join(filter(None, (each["model"], each["version"])))
        table.add_row(
            f"{each['received_at']:%Y-%m-%d %H:%M:%S}", _shown(each["method"]), _shown(each["path"]),
            str(each["status"]), f"{each['duration_ms']:,.2f}", _shown(model), _shown(each["client"] or ""),
            _shown(each["request_id"]),
        )  # fmt: skip
    return table


def _counts_table(counts: Sequence[Row]) -> Table:
    table = Table("from (UTC)", "status", box=None, padding=(0, 2))
    for column in ("exchanges", "mean ms", "slowest ms"):
        table.add_column(column, justify="right")
    for each in counts:
        table.add_row(
            f"{each['moment']:%Y-%m-%d %H:%M}", str(each["status"]), f"{each['exchanges']:,}",
            f"{each['mean_ms']:,.2f}", f"{each['slowest_ms']:,.2f}",
        )  # fmt: skip
    return table


def _shown(word: str) -> str:
    """What a caller sent, so that it can neither style a line nor steer a terminal."""
    return escape("".join(each if each.isprintable() else ascii(each)[1:-1] for each in word))
