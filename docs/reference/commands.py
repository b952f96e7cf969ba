"""The commands, as each one's `--help` says it, and the targets of make."""

import re
from collections.abc import Iterator
from pathlib import Path

import click

from diamonds.cli import cli
from reference.markdown import block, code, table

HEAD = """# Commands

What `diamonds`, and each command below it, says to `--help`. Exit status 0 is success, 1 a failure that is told in
plain words, 2 a wrong use.
"""
MAKE = """## make

Each target makes what it needs first.
"""


def page(project: Path) -> str:
    """All commands, the groups before what is in them, and then make's targets."""
    helps = [
        f"## {context.command_path}\n\n{block(context.get_help())}" for context in _contexts(cli, None, "diamonds")
    ]
    targets = re.findall(r"^([a-z-]+):.*?## (.*)", (project / "Makefile").read_text(), re.MULTILINE)
    rows = [[code(f"make {target}"), does] for target, does in targets]
    return "\n".join([HEAD, *helps, MAKE, table(["target", "does"], rows)])


def _contexts(command: click.Command, parent: click.Context | None, name: str) -> Iterator[click.Context]:
    context = click.Context(command, parent=parent, info_name=name, terminal_width=90)
    yield context
    if isinstance(command, click.Group):
        for inner in sorted(command.commands):
            yield from _contexts(command.commands[inner], context, inner)
