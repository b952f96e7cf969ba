"""What MkDocs does besides: it writes the reference, and brings the project's own pages."""

from collections.abc import Callable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from links import BROUGHT, PROJECT, lead
from navigation import complete
from reference import api, cards, commands, datasets, environment, parameters, tables

GENERATED: dict[str, Callable[[], str]] = {
    "reference/routes.md": api.page,
    "reference/commands.md": lambda: commands.page(PROJECT),
    "reference/parameters.md": lambda: parameters.page(PROJECT),
    "reference/environment.md": environment.page,
    "reference/tables.md": tables.page,
    "reference/datasets.md": lambda: datasets.page(PROJECT),
}
#: What stands in a page where something is written in.
MARKERS: dict[str, Callable[[], str]] = {
    "<!-- champion -->": cards.champion,
    "<!-- columns -->": cards.columns,
    "<!-- reference -->": lambda: ", ".join(f"[{Path(place).stem}]({place})" for place in GENERATED),
}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the decisions, and pages that the navigation does not name, where they belong."""
    config.nav = complete(config.nav or [], Path(config.docs_dir))
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Write the reference, and bring the project's own pages."""
    for place, page in GENERATED.items():
        files.append(File.generated(config, place, content=page()))
    for place, source in BROUGHT.items():
        files.append(File.generated(config, place, content=(PROJECT / source).read_text()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - MkDocs' own
    """Lead links to where things are on the site, and write in what is known only now."""
    here = page.file.src_uri
    if here in GENERATED:
        return markdown
    markdown = lead(markdown, here)
    for marker, written in MARKERS.items():
        if marker in markdown:
            markdown = markdown.replace(marker, written())
    return markdown
