"""The navigation of the site, as far as nobody writes it down."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

Nav = list[dict[str, Any]]


def complete(nav: Nav, docs: Path) -> Nav:
    """The navigation with the decisions among the explanations, and pages that it does not name among the how-tos."""
    decisions = [docs / "adr/README.md", *sorted((docs / "adr").glob("[0-9]*.md"))]
    added: dict[str, list[Any]] = {"Explanation": [{"Decisions": [f"adr/{path.name}" for path in decisions]}]}
    named = {*_pages(nav), *_pages(added)}
    found = sorted(path.relative_to(docs).as_posix() for path in docs.rglob("*.md"))
    added["How-to"] = [page for page in found if page not in named]
    return [{title: [*inner, *added.get(title, [])] for title, inner in section.items()} for section in nav]


def _pages(nav: Any) -> Iterator[str]:  # noqa: ANN401 - lists in dicts in lists
    if isinstance(nav, str):
        yield nav
    else:
        for entry in nav.values() if isinstance(nav, dict) else nav:
            yield from _pages(entry)
