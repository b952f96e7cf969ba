"""Where links of a page lead, once it is a page of the site."""

import posixpath
import re
from pathlib import Path

PROJECT = Path(__file__).parents[1]
#: Pages of the project that lie outside docs/, by where they are on the site.
BROUGHT = {
    "project/contributing.md": "CONTRIBUTING.md",
    "project/changelog.md": "CHANGELOG.md",
    "project/data.md": "data/README.md",
}
LINK = re.compile(r"\[([^\]\n]+)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def lead(markdown: str, here: str) -> str:
    """The page at `here` with links to where things are on the site; what is not there is named instead."""
    source = BROUGHT.get(here, f"docs/{here}")
    return LINK.sub(lambda link: _led(link, source, here), markdown)


def _led(link: re.Match[str], source: str, here: str) -> str:
    words, target, anchor = link.groups(default="")
    if re.match(r"[a-z]+:", target):
        return link.group()
    place = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    if (PROJECT / place).is_dir():
        place += "/README.md"
    brought = {of: at for at, of in BROUGHT.items()}
    if place not in brought and not place.startswith("docs/"):
        return f"{words} (`{place}`)"
    there = brought.get(place, place.removeprefix("docs/"))
    return f"[{words}]({posixpath.relpath(there, posixpath.dirname(here) or '.')}{anchor})"
