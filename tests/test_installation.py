"""What `make serve` installs is enough: nothing that it starts imports what only developers have."""

import importlib.metadata
import re
from collections.abc import Iterator

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from project import ROOT, serve, stop

MAKEFILE = (ROOT / "Makefile").read_text()
#: Read by Python as it starts: what is named in it is not there.
BLOCK = """
import sys

MISSING = {missing!r}

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in MISSING:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""


def test_only_those_who_develop_wait_for_their_tools():
    made_by = dict(re.findall(r"^([a-z-]+): (\.venv/ready|setup|\.venv/whole) ##", MAKEFILE, re.MULTILINE))

    assert sorted(name for name, needs in made_by.items() if needs == ".venv/ready") == [
        "bento", "serve", "stream", "train", "viz",
    ]  # fmt: skip
    assert made_by["setup"] == ".venv/whole"
    assert {"test", "check", "format", "docs", "screenshots"} <= {n for n, needs in made_by.items() if needs == "setup"}


def test_every_version_of_the_lock_runs_on_the_oldest_python_that_is_promised():
    least = re.search(r'requires-python = ">=(.+)"', (ROOT / "pyproject.toml").read_text()).group(1)
    known = {_plain(each.name): each.metadata.get("Requires-Python") for each in importlib.metadata.distributions()}
    locked = {_plain(line.split("==")[0]) for line in (ROOT / "requirements.lock").read_text().splitlines()}

    wanting = {name: known[name] for name in locked & known.keys() if known[name]}

    assert len(wanting) > 150
    assert {name: asks for name, asks in wanting.items() if f"{least}.0" not in SpecifierSet(asks)} == {}


def test_what_is_installed_first_trains_and_serves(small, tmp_path):
    extras = re.search(r"^\.venv/ready: EXTRAS := (.+)$", MAKEFILE, re.MULTILINE).group(1)
    there = set(_needed(Requirement(f"diamonds[{extras}]"), set()))
    missing = {
        module
        for module, distributions in importlib.metadata.packages_distributions().items()
        if not there & {_plain(name) for name in distributions}
    }
    (tmp_path / "sitecustomize.py").write_text(BLOCK.format(missing=missing))
    environment = {"PYTHONPATH": f"{tmp_path}:{small.folder / 'src'}"}

    trained = small.run_cold("kedro", "run", **environment)
    running = serve(small, **environment)

    assert trained.returncode == 0, trained.stderr
    assert {"pytest", "mypy", "mkdocs", "playwright", "mlflow"} <= missing
    refused = small.run_cold("python", "-c", "import playwright", **environment)
    assert "No module named 'playwright'" in refused.stderr
    stop(running)


def _needed(asked: Requirement, seen: set[str]) -> Iterator[str]:
    """The distributions that this requirement brings, itself among them."""
    place = f"{_plain(asked.name)}[{','.join(sorted(asked.extras))}]"
    if place in seen:
        return
    seen.add(place)
    yield _plain(asked.name)
    for line in importlib.metadata.requires(asked.name) or []:
        inner = Requirement(line)
        wanted = [{"extra": extra} for extra in ("", *asked.extras)]
        if inner.marker is None or any(inner.marker.evaluate(each) for each in wanted):
            yield from _needed(inner, seen)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).casefold()
