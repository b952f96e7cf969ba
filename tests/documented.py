"""What the pages of the documentation hold that can be looked up or run."""

import json
import re
import shlex
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from diamonds.cli import cli

RUNS = re.compile(r"<!-- a test runs this -->\n+```console\n(.*?)```", re.DOTALL)
TITLED = re.compile(r'```\w+ title="([^"]+)"\n(.*?)```', re.DOTALL)
IN_CODE = re.compile(r"`([^`\n]+)`|^\$ (.*)", re.MULTILINE)


def marked(text: str) -> str:
    """The lines that a test types, as a script."""
    blocks = "\n".join(RUNS.findall(text)).replace("\\\n", " ")
    return "\n".join(line[2:] for line in blocks.splitlines() if line.startswith("$ "))


def commands(text: str) -> list[list[str]]:
    """These lines, word by word."""
    return [shlex.split(line) for line in marked(text).splitlines()]


def titled(page: Path) -> dict[str, str]:
    """The blocks of a page that are files, by the file."""
    return dict(TITLED.findall(page.read_text()))


def ask(curl: list[str], url: str) -> Any:
    """What a service at `url` answers to a command of curl's that is written for the usual place."""
    options = {word: curl[place + 1] for place, word in enumerate(curl) if word in {"-X", "-H", "-d"}}
    (address,) = (word for word in curl if word.startswith("http://127.0.0.1:3000/"))
    assert len(curl) == 2 + 2 * len(options)
    request = urllib.request.Request(  # noqa: S310 - our own loopback address
        address.replace("http://127.0.0.1:3000", url),
        options["-d"].encode() if "-d" in options else None,
        dict([options["-H"].split(": ")]),
        method=options.get("-X"),
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)


def all_commands(command: click.Command = cli, path: str = "diamonds") -> Iterator[tuple[str, click.Command]]:
    """Each command by how it is called."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from all_commands(inner, f"{path} {name}")


def misnamed(text: str) -> list[str]:
    """What is written as a call of `diamonds` and names a command or an option that there is not."""
    known = dict(all_commands())
    wrong = []
    for quoted, typed in IN_CODE.findall(text):
        for words in re.findall(r"(?:^|[ &|] *)(diamonds [a-z][^|&#]*)", quoted or typed):
            path = max((path for path in known if f"{words} ".startswith(f"{path} ")), key=len, default="diamonds")
            given = set(re.findall(r"--[a-z-]+", words))
            offered = {name for each in known[path].params for name in [*each.opts, *each.secondary_opts]}
            if path == "diamonds" or given - offered - {"--help"}:
                wrong.append(words)
    return wrong


def addresses(text: str) -> set[str]:
    """The routes that are named with their method, or asked with curl."""
    named = re.findall(r"`(?:GET|POST) (/[^`?\s]*)", text)
    asked = re.findall(r"http://127\.0\.0\.1:3000(/[^\s\"'`?]*)", text)
    return {*named, *asked}
