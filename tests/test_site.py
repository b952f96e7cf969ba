"""The documentation as a site: it builds, asks nobody, and its reference names all that there is."""

import html
import json
import re
import subprocess
import sys

import pytest
import yaml

from diamonds import models
from diamonds.config import Settings
from diamonds.pipelines.evaluation.nodes import Promotion
from diamonds.store.tables import Base
from diamonds.streams import learners
from diamonds.streams.spec import FeedSpec
from documented import all_commands
from links import BROUGHT, lead
from navigation import complete
from project import ROOT, memory
from reference import cards

#: What a browser loads by itself.
LOADED = re.compile(
    r"""<(?:script|img|link|iframe)[^>]+(?:src|href)=["']?((?:https?:)?//[^"'\s>]+)|url\(["']?(https?:[^)]+)"""
)


@pytest.fixture(scope="module")
def site(small_trained_once, tmp_path_factory):
    """The pages by their address, built as `make docs` does, beside a project that has a champion."""
    folder = tmp_path_factory.mktemp("site")
    words = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--config-file",
        ROOT / "mkdocs.yml",
        "--site-dir",
        folder,
    ]
    built = subprocess.run(
        words,
        cwd=small_trained_once.folder,
        env=small_trained_once.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.suffix in {".html", ".css"}
    }


@pytest.fixture(scope="module")
def document(small_trained_once):
    """The service's description of itself, from a process of its own: BentoML imports the service there."""
    code = """
import json
from diamonds.service import openapi
from diamonds.service.api import Diamonds
from diamonds.service.doors import DOORS
print(json.dumps(openapi.document(Diamonds.apis.values(), DOORS)))
"""
    return json.loads(small_trained_once.run_cold("python", "-c", code).stdout)


def _codes(page):
    """What stands as code in the first column of tables."""
    return {html.unescape(each) for each in re.findall(r"<tr>\s*<td><code>(.*?)</code>", page)}


def _section(page, name):
    """A page from this heading to the next of its kind."""
    return re.split(r"<h2", page.split(f'<h2 id="{name}"')[1])[0]


def test_no_page_loads_anything_from_elsewhere(site):
    assert {name: found for name, text in site.items() if (found := LOADED.findall(text))} == {}
    assert [name for name, text in site.items() if 'class="mermaid"' in text] == []


def test_every_page_of_the_docs_is_on_the_site(site):
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")} | BROUGHT.keys()
    expected = {re.sub(r"README\.html$", "index.html", page.replace(".md", ".html")) for page in pages}

    assert expected - site.keys() == set()


def test_the_reference_names_every_route_and_no_other(site, document):
    named = re.findall(r'<h2 id="(?:get|post)-[a-z-]*">(GET|POST) (\S+?)<', site["reference/routes.html"])

    assert sorted((method.lower(), path) for method, path in named) == sorted(
        (method, path) for path, operations in document["paths"].items() for method in operations
    )


def test_the_reference_shows_every_object_with_its_fields(site, document):
    page = site["reference/routes.html"]
    fields = {field for schema in document["components"]["schemas"].values() for field in schema.get("properties", {})}

    assert [name for name in document["components"]["schemas"] if f'<h3 id="{name.lower()}">' not in page] == []
    assert fields - _codes(page) == set()


def test_the_reference_names_every_address_of_a_streams_page_and_each_way_to_steer_it(site):
    page = _section(site["reference/routes.html"], "the-page-of-a-stream")
    app, controls = ((ROOT / f"src/diamonds/streams/live/{name}.py").read_text() for name in ("app", "controls"))
    addresses = {re.sub(r":\w+}", "}", address) for address in re.findall(r'Route\("([^"]+)"', app)}
    ways = set(re.findall(r'^ {12}"(\w+)": ', controls, re.MULTILINE))

    assert len(addresses) == 12
    assert len(ways) == 9
    assert _codes(page) == addresses | {f"/control/{way}" for way in ways}
    assert re.findall(r"<td>\s*</td>", page) == []


def test_the_reference_names_every_command_with_its_options_and_no_other(site):
    page = site["reference/commands.html"]

    for path, command in all_commands():
        shown = _section(page, path.replace(" ", "-"))
        assert f"Usage: {path}" in html.unescape(re.sub(r"<[^>]+>", "", shown))
        assert [
            each.opts[0] for each in command.params if each.param_type_name == "option" and each.opts[0] not in shown
        ] == []
    assert re.findall(r'<h2 id="[a-z-]+">(diamonds.*?)<', page) == [path for path, _ in sorted_commands()]


def sorted_commands():
    return sorted(all_commands(), key=lambda each: each[0].split())


def test_the_reference_names_every_variable_and_no_other(site):
    assert _codes(site["reference/environment.html"]) == {f"DIAMONDS_{name.upper()}" for name in Settings.model_fields}


def test_the_reference_names_every_table_and_column_and_no_other(site):
    page = site["reference/tables.html"]

    assert set(re.findall(r'<h2 id="([a-z_]+)"', page)) == set(Base.metadata.tables)
    for name, table in Base.metadata.tables.items():
        assert _codes(_section(page, name)) == {column.name for column in table.columns}, name


def test_no_column_lacks_its_meaning(site):
    page = site["reference/tables.html"]
    rows = re.findall(r"<tr>\s*<td><code>(\w+)</code></td>(.*?)</tr>", page, re.DOTALL)

    assert len(rows) == sum(len(table.columns) for table in Base.metadata.tables.values())
    assert [name for name, cells in rows if not re.findall(r"<td>(.*?)</td>", cells, re.DOTALL)[-1].strip()] == []


def test_what_a_column_means_is_read_from_its_comment(site):
    page = _section(site["reference/tables.html"], "training_run")

    assert re.search(
        r"<code>outcome</code>(?:(?!</tr>).)*running, succeeded, failed or interrupted</td>", page, re.DOTALL
    )


def test_the_reference_names_every_dataset_and_no_other(site):
    catalog = yaml.safe_load((ROOT / "conf/base/catalog.yml").read_text())

    assert _codes(site["reference/datasets.html"]) == set(catalog)


def test_the_reference_names_every_parameter_and_no_other(site):
    page = site["reference/parameters.html"]
    files = sorted((ROOT / "conf/base").glob("parameters_*.yml"))
    entries = {name: entry for path in files for name, entry in yaml.safe_load(path.read_text()).items()}

    assert set(re.findall(r'<h2 id="(\w+)"', page)) == {*entries, "feeds", "learners"}
    for name in entries.keys() - {"models"}:
        assert _codes(_section(page, name)) == set(entries[name]), name
    assert _codes(_section(page, "models")) == {
        field for name in models.available() for field in models.get(name).Params.model_fields
    }
    assert _codes(_section(page, "feeds")) >= set(FeedSpec.model_fields)
    assert set(re.findall(r'<h3 id="\w+"><code>(\w+)<', _section(page, "learners"))) == set(learners.available())


def test_the_reference_says_what_a_parameter_may_be_and_what_it_is_set_to(site):
    cells = re.search(r"<td><code>sure</code></td>(.*?)</tr>", site["reference/parameters.html"], re.DOTALL).group(1)

    assert re.findall(r"<td>(.*?)</td>", cells) == [
        "number, more than 0.5, less than 1", "required", "<code>0.95</code>",
        "The share of bootstrap resamples of the holdout in which it must be.",
    ]  # fmt: skip
    assert Promotion.model_fields["sure"].is_required()


def test_the_model_card_shows_the_champion_that_there_is(site, small_trained_once):
    _, champion = memory(small_trained_once)
    page = site["model-card.html"]

    assert f"The champion is <code>{champion.name}</code>, version <code>{champion.version}</code>" in page
    assert f"${champion.metrics['overall']['mae']:,.2f}" in page


def test_without_a_champion_the_model_card_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("DIAMONDS_DATABASE_URL", f"sqlite:///{tmp_path}/none.db")

    assert cards.champion().startswith("No champion was known where this page was built.")
    assert not (tmp_path / "none.db").exists()


def test_a_page_that_the_navigation_does_not_name_is_put_among_the_how_tos(tmp_path):
    (tmp_path / "adr").mkdir()
    for name in ("bento.md", "new.md", "adr/README.md", "adr/0001-layers.md"):
        (tmp_path / name).write_text("# A page\n")

    nav = complete([{"How-to": ["bento.md"]}, {"Explanation": ["explanation.md"]}], tmp_path)

    assert nav == [
        {"How-to": ["bento.md", "new.md"]},
        {"Explanation": ["explanation.md", {"Decisions": ["adr/README.md", "adr/0001-layers.md"]}]},
    ]


@pytest.mark.parametrize(
    ("link", "led"),
    [
        ("[a](../bento.md)", "[a](../bento.md)"),
        ("[a](../../CONTRIBUTING.md#to-add-a-model)", "[a](../project/contributing.md#to-add-a-model)"),
        ("[a](../adr/)", "[a](../adr/README.md)"),
        ("[a](../../deploy/Dockerfile)", "a (`deploy/Dockerfile`)"),
        ("[a](https://example.com/x)", "[a](https://example.com/x)"),
    ],
)
def test_a_link_leads_to_where_its_page_is_on_the_site(link, led):
    assert lead(link, "how-to/fresh-data.md") == led
