"""The command `diamonds feed`: serves pages of rows to learn from, where there is no other feed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from diamonds.cli.listening import address, ended_by_signals, listen, serve
from diamonds.cli.speech import plainly
from diamonds.errors import ConfigurationError

if TYPE_CHECKING:
    from diamonds.streams.feeding.rows import Rows
    from diamonds.streams.spec import FeedSpec

PROMOTIONS, DIAMONDS = "promotions", "diamonds"
PORTS = {PROMOTIONS: 5000, DIAMONDS: 5001}
OTHER_PORT = 5002
APPRAISALS = Path("data/01_raw/appraisals")


@click.command()
@click.argument("name")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), help="[default: 5000 promotions, 5001 diamonds, 5002 others]")
@click.option("--source", type=click.Path(dir_okay=False, path_type=Path), help="A CSV or SQLite file with the rows.")
@click.option("--table", help="Which table of a SQLite file.")
@click.option("--process", default="sum", show_default=True, help="How employees are promoted, where there is no file.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of all that is drawn.")
@click.option("--rows", type=click.IntRange(min=0), help="How many rows there are at first.  [default: 10,000, or all]")
@click.option("--grow", type=click.FloatRange(min=0), default=0, show_default=True, help="Rows a second that come.")
@click.option("--most", type=click.IntRange(min=0), help="How many rows there are at last.")
@click.option("--latency", type=click.FloatRange(min=0), default=0, show_default=True, help="Of each answer, in ms.")
@click.option("--faults", type=click.FloatRange(0, 1), default=0, show_default=True, help="Share of wrong answers.")
@click.option("--bad-every", type=click.IntRange(min=0), default=0, show_default=True, help="Each such row is no row.")
@click.option("--drift", type=float, default=0, show_default=True, help="Percent by which 100 stones raise prices.")
@click.option("--drift-from", type=click.IntRange(min=0), default=0, show_default=True, help="The row where it begins.")
@plainly
def feed(
    name: str, host: str, port: int | None, source: Path | None, table: str | None, process: str, seed: int,
    rows: int | None, grow: float, most: int | None, latency: float, faults: float, bad_every: int,
    drift: float, drift_from: int,
) -> None:  # fmt: skip
    """Serve the pages of a feed, `promotions` or `diamonds` or another of conf/base/streams.yml, until stopped.

    GET /api/v1/data?page=N answers up to ten rows; /docs and /redoc describe it. Rows come from a seeded process, from
    the appraisals of the project, or from a file; they may grow, take their time, and fail.
    """
    from diamonds.streams.feeding.faults import Faults
    from diamonds.streams.feeding.server import make_app
    from diamonds.streams.spec import feed as spec_of

    spec = spec_of(Path.cwd(), name)
    served = _rows(spec, source, table, process, seed, drift, drift_from)
    first = rows if rows is not None else 10_000 if served.total is None else served.total
    wrong = Faults(faults, seed, bad_every=bad_every)
    listener = listen(host, PORTS.get(name, OTHER_PORT) if port is None else port)
    app = make_app(spec, served, growing(first, grow, most), faults=wrong, latency_seconds=latency / 1000)
    click.echo(f"{name} is served at {address(listener)}{spec.path}?{spec.page_parameter}=0, described at /docs")
    with ended_by_signals():
        serve(app, listener)


def growing(first: int, rows_a_second: float, most: int | None) -> Callable[[], int]:
    """How many rows there are at this moment."""
    began = time.monotonic()

    def visible() -> int:
        there = first + int(rows_a_second * (time.monotonic() - began))
        return there if most is None else min(there, most)

    return visible


def _rows(
    spec: FeedSpec, source: Path | None, table: str | None, process: str, seed: int, drift: float, drift_from: int
) -> Rows:  # fmt: skip
    from diamonds.streams.feeding import generators
    from diamonds.streams.feeding.rows import Drawn, appraised, read_rows

    if source is not None:
        return read_rows(spec, source, table)
    if spec.name == DIAMONDS:
        return appraised(spec, APPRAISALS, seed, drift_percent=drift, drift_from=drift_from)
    if spec.name != PROMOTIONS:
        raise ConfigurationError(f"nothing draws the rows of {spec.name}: name a file that has them with --source")
    known = [*generators.PROCESSES, generators.CHAIN]
    if process not in known:
        raise ConfigurationError(f"no process is called {process}; known are {', '.join(known)}")
    return Drawn(process, seed)
