"""`diamonds sales`: the prices really paid, as data to train on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from diamonds.cli.speech import as_json, database, plainly, print_json
from diamonds.sales_file import Exported
from diamonds.sales_file import export as export_sales

APPRAISALS = Path("data/01_raw/appraisals")


@click.group()
def sales() -> None:
    """The prices really paid for stones that were quoted."""


@sales.command()
@as_json
@plainly
def export(as_json: bool) -> None:
    """Write the sales that are in no file yet to a new CSV in data/01_raw/appraisals/, each once."""
    from diamonds.retraining import open_project

    open_project(Path.cwd())
    exported = export_sales(database(), Path.cwd() / APPRAISALS)
    if as_json:
        print_json(asdict(exported))
    else:
        _print(exported)


def _print(exported: Exported) -> None:
    for name, count in exported.files.items():
        click.echo(f"{_sales(count)} exported to {APPRAISALS / name}.")
    if not exported.files:
        click.echo("No sales to export.")
    for why, count in exported.kept.items():
        click.echo(f"{_sales(count)} kept for later: {why}.")


def _sales(count: int) -> str:
    return f"{count:,} sale{'' if count == 1 else 's'}"
