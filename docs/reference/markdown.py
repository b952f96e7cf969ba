"""Markdown, as the pages of the reference are written in it."""

import re
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table with this head."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(each) for each in line)} |" for line in lines) + "\n"


def code(value: object) -> str:
    """The value as code; nothing where there is none."""
    return "" if value is None or value == "" else f"`{value}`"


def block(text: str, language: str = "text") -> str:
    """The text as it is, in a block of its own."""
    return f"```{language}\n{text.strip()}\n```\n"


def first_paragraph(text: str | None) -> str:
    """What a docstring says before its first empty line, in one line."""
    return _one_line((text or "").strip().split("\n\n")[0])


def comment_above(lines: Sequence[str], position: int) -> str:
    """The comment that stands right above a line of a YAML file."""
    above: list[str] = []
    while position and re.match(r"\s*# ", lines[position - 1]):
        position -= 1
        above.insert(0, lines[position].strip().removeprefix("# "))
    return " ".join(above)


def _cell(value: object) -> str:
    return _one_line(str(value)).replace("|", "\\|")


def _one_line(text: str) -> str:
    return " ".join(text.split())
