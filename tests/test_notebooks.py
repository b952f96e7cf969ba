"""The notebooks say what they say wherever they are run: on a fresh clone, and where there is a run to speak of."""

import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from diamonds.store.database import open_database
from diamonds.streams.feeding.generators import employees
from diamonds.streams.memory.rows_table import RowsTable
from diamonds.streams.spec import feed
from project import ROOT, make_project

WORTH, NETWORKING = "1-what-a-diamond-is-worth", "2-networking-or-competence"
CLASSIC = ROOT / "data/01_raw/appraisals/diamonds.csv"
#: So much of a notebook does not depend on who trained what here before.
SAME_EVERYWHERE = {WORTH: "## 3. The two models", NETWORKING: "## 9. What may be concluded"}
MOST_BYTES = 300_000


@pytest.fixture
def clone(tmp_path):
    """A project with the data that comes with it, as it is before anything was run."""
    return with_notebooks(make_project(tmp_path / "project", {"diamonds.csv": CLASSIC.read_bytes()}))


def with_notebooks(project):
    shutil.copytree(ROOT / "notebooks", project.folder / "notebooks")
    return project


@pytest.fixture
def execute(tmp_path, monkeypatch):
    """Run a notebook of a project from top to bottom; an error in a cell is an error here."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))

    def run(project, name):
        folder = project.folder / "notebooks"
        notebook = nbformat.read(folder / f"{name}.ipynb", 4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs = []
        environment = project.environment | {"IPYTHONDIR": str(tmp_path / "ipython")}
        client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}})
        return client.execute(env=environment)

    return run


def committed(name):
    return nbformat.read(ROOT / f"notebooks/{name}.ipynb", 4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def said(notebook, until=""):
    """What a reader sees below the cells, as text, up to a heading."""
    found = []
    for cell in notebook.cells:
        if until and until in cell.source:
            return found
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            found += [data.get("text/markdown") or data.get("image/svg+xml") or data.get("text/plain")]
    return found


@pytest.mark.parametrize("name", [WORTH, NETWORKING])
def test_a_notebook_runs_on_a_fresh_clone_and_says_what_the_committed_one_says(name, clone, execute):
    ran = execute(clone, name)

    assert [cell.execution_count for cell in code(ran)] == list(range(1, len(code(ran)) + 1))
    assert said(ran, SAME_EVERYWHERE[name]) == said(committed(name), SAME_EVERYWHERE[name])
    assert len(said(ran, SAME_EVERYWHERE[name])) >= 8
    assert [path.name for path in clone.folder.glob("data/*")] == ["01_raw"]


def test_the_notebook_on_worth_trains_a_pricer_of_its_own_only_where_there_is_no_champion(small_trained, execute):
    (small_trained.raw / "diamonds.csv").write_bytes(CLASSIC.read_bytes())
    champion = json.loads(small_trained.newest("08_reporting/decision.json").read_text())

    text = "\n".join(said(execute(with_notebooks(small_trained), WORTH)))

    assert f"the champion of this project's runs, `{champion['model']}` {champion['version']}" in text
    assert f"MAE **${champion['challenger']:,.2f}**" in text


def test_the_notebook_on_networking_looks_at_the_rows_of_a_stream_where_there_are_some(clone, execute):
    spec = feed(ROOT, "promotions")
    table, engine = RowsTable(spec), open_database(clone.settings)
    with engine.begin() as connection:
        table.make(connection)
        rows = [(place // 10, row) for place, row in enumerate(employees("chain", 5, 0, 5000))]
        table.insert(connection, rows, 0, datetime.now(UTC))
    engine.dispose()

    text = "\n".join(said(execute(clone, NETWORKING)))

    assert "**5,000 rows**, from the stream `promotions` in the database" in text
    assert "as a chain or a fork, and the rows do not say which" in text


@pytest.mark.parametrize("name", [WORTH, NETWORKING])
def test_a_committed_notebook_was_run_in_order_without_an_error_and_is_small(name):
    cells = code(committed(name))

    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert [output.output_type for cell in cells for output in cell.outputs if output.output_type == "error"] == []
    assert [output.text for cell in cells for output in cell.outputs if output.output_type == "stream"] == []
    assert (ROOT / f"notebooks/{name}.ipynb").stat().st_size < MOST_BYTES
    assert not re.search(r"/(home|root|Users|tmp)/", (ROOT / f"notebooks/{name}.ipynb").read_text())


@pytest.mark.parametrize("name", [WORTH, NETWORKING])
def test_each_figure_has_two_axis_titles_and_a_caption_of_whole_sentences(name):
    figures = [text for text in said(committed(name)) if text.startswith("<svg")]
    calls = re.findall(r"Figure\(\n.*?\n\)", "\n".join(cell.source for cell in code(committed(name))), re.DOTALL)

    assert len(figures) == len(calls) >= 2
    assert all(re.search(r'aria-label="[^"]+\. [^"]+\."', figure) for figure in figures)
    assert all(re.search(r'\n    x=".+\n    y=".+\n    caption="', call) for call in calls)


@pytest.mark.parametrize("name", [WORTH, NETWORKING])
def test_a_notebook_holds_its_claims_to_numbers(name):
    sources = [cell.source for cell in code(committed(name))]

    assert sum("\nassert " in source for source in sources) >= 7


def test_every_link_of_a_notebook_leads_somewhere():
    notebooks = Path(ROOT / "notebooks")
    links = re.findall(r"\]\((\.\./[^)\\]+)\)", "".join(path.read_text() for path in notebooks.glob("*.ipynb")))

    assert links
    assert [link for link in links if not (notebooks / link).exists()] == []
