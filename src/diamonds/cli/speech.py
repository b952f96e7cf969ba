"""How commands speak: tables for people, JSON for programs, and one line on stderr where something fails."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import click
from rich.console import Console
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from diamonds.config import read_settings
from diamonds.errors import DiamondsError
from diamonds.store.database import open_database, require_current

P = ParamSpec("P")

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def plainly(command: Callable[P, None]) -> Callable[P, None]:
    """The command, with a failure said in one line on stderr and exit status 1."""

    @wraps(command)
    def said(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()  # here, where it can still be said that the disk is full
        except DiamondsError as error:
            click.echo(f"diamonds: {error}", err=True)
            raise click.exceptions.Exit(1) from error
        except DBAPIError as error:
            click.echo(f"diamonds: the database does not answer: {error.orig}", err=True)
            raise click.exceptions.Exit(1) from error
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # who read has seen enough: click ends quietly
            _forget_output()
            click.echo(f"diamonds: what was asked for cannot be written: {error.strerror}", err=True)
            raise click.exceptions.Exit(1) from error

    return said


def _forget_output() -> None:
    """Let what could not be written go nowhere: Python tries again as it ends, and would have a status of its own."""
    with suppress(OSError), Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def database() -> Engine:
    """The database that the settings name, its tables up to date.

    Raises:
        DatabaseError: It is away, or its tables are behind.
    """
    engine = open_database(read_settings())
    require_current(engine)
    return engine


def console() -> Console:
    """A console as wide as its reader: the terminal, or whatever a pipe takes."""
    return Console() if sys.stdout.isatty() else Console(width=200)


def print_json(value: object) -> None:
    """Print a value that may hold moments."""
    click.echo(json.dumps(value, indent=1, default=_json_default))


def _json_default(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} has no form in JSON")
