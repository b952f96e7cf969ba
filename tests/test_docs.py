"""The docs name what there is, and all that they name exists."""

import doctest
import json
import re
import urllib.request
from pathlib import Path

import pytest
import yaml

from diamonds.cli import cli
from diamonds.config import Settings
from diamonds.store.tables import Base
from diamonds.streams.spec import feed
from documented import addresses, ask, commands, misnamed
from project import ROOT, SHARE_TRAINED

PAGES = [
    path for path in ROOT.rglob("*.md") if not {".venv", "build", "node_modules"} & set(path.relative_to(ROOT).parts)
]
TEXT = "\n".join(path.read_text() for path in PAGES)
README = (ROOT / "README.md").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_every_make_target_is_named_and_every_named_one_exists():
    assert set(re.findall(r"`make ([a-z-]+)`|^\$ make ([a-z-]+)", TEXT, re.MULTILINE)) <= {(t, "") for t in TARGETS} | {
        ("", t) for t in TARGETS
    }
    assert [target for target in sorted(TARGETS - {"help"}) if f"make {target}" not in TEXT] == []


def test_every_command_is_named_and_every_named_one_exists():
    named = set(re.findall(r"`diamonds ([a-z]+)", TEXT))

    assert named == set(cli.commands)


def test_every_call_of_diamonds_names_commands_and_options_that_exist():
    assert misnamed("a `diamonds nothing` and `diamonds history --nothing`") == [
        "diamonds nothing",
        "diamonds history --nothing",
    ]
    assert misnamed(TEXT) == []


def test_every_variable_is_named_and_every_named_one_exists():
    known = {f"DIAMONDS_{name.upper()}" for name in Settings.model_fields}

    assert set(re.findall(r"DIAMONDS_[A-Z_]+", TEXT)) == known


def test_every_route_of_the_api_is_named():
    routes = re.findall(r'route="(/[a-z/]+)"', (ROOT / "src/diamonds/service/api.py").read_text())

    assert routes
    assert [route for route in routes if route not in TEXT] == []


def test_every_address_that_is_named_exists(served):
    served_pages = set(re.findall(r'Route\("(/[^"]*)"', (ROOT / "src/diamonds/service/pages.py").read_text()))
    known = {*_json_of(f"{served.url}/docs.json")["paths"], *served_pages, feed(ROOT, "promotions").path}

    assert {_placed(address) for address in addresses(TEXT)} - {_placed(address) for address in known} == set()


def _placed(address):
    """The address whatever its parameters are called."""
    return re.sub(r"\{\w+(:\w+)?\}", "{}", address)


def _json_of(url):
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own loopback address
        return json.load(answer)


def test_what_the_page_of_the_traffic_log_asks_with_curl_is_answered(served):
    asked = [words for words in commands((ROOT / "docs/traffic.md").read_text()) if words[0] == "curl"]

    filtered, counted = (ask(words, served.url) for words in asked)

    assert {exchange["status"] for exchange in filtered["exchanges"]} <= {422}
    assert all(each["exchanges"] > 0 for each in counted["counts"])


@pytest.mark.parametrize("page", ["README.md", "docs/tutorials/first-price.md"])
def test_what_a_page_asks_of_the_service_is_answered_as_it_says(served, page):
    text = (ROOT / page).read_text()
    shown = re.findall(r'"(\w+)": ?', text.split("""SI2"}'\n""")[1].split("…")[0])

    answers = [ask(words, served.url) for words in commands(text)]

    assert answers
    assert set(answers[0]) == set(shown)
    assert answers[0]["assumed"] == ["depth", "table", "x", "y", "z"]


def test_every_parameter_that_is_named_by_its_path_exists():
    files = (ROOT / "conf/base").glob("parameters_*.yml")
    known = {name: entry for path in files for name, entry in yaml.safe_load(path.read_text()).items()}
    named = re.findall(rf"[`=]((?:{'|'.join(known)})(?:\.\w+)+)", TEXT)

    assert named
    assert [path for path in named if not _leads_somewhere(known, path.split("."))] == []


def _leads_somewhere(entries, path):
    return path[0] in entries and (not path[1:] or _leads_somewhere(entries[path[0]] or {}, path[1:]))


def test_every_table_that_a_query_asks_exists():
    queries = "\n".join(re.findall(r"```sql\n(.*?)```", TEXT, re.DOTALL))
    asked = set(re.findall(r"\b(?:FROM|JOIN) (\w+)", queries))

    assert asked
    assert asked - set(Base.metadata.tables) == set()


def test_every_parameter_is_explained_where_it_is_set():
    for path in (ROOT / "conf/base").glob("parameters_*.yml"):
        for name in yaml.safe_load(path.read_text()):
            above = path.read_text().split(f"\n{name}:")[0].splitlines()
            assert any(line.startswith("# ") for line in [*above[-3:], path.read_text().splitlines()[0]]), (
                f"{path.name}: {name}"
            )


def test_every_link_inside_leads_somewhere():
    links = [(page, link) for page in PAGES for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())]
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page, link in links
        if not link.startswith("http") and not (page.parent / link).exists()
    ]

    assert broken == []


def test_the_readme_has_its_five_hundred_words_and_shows_pictures():
    assert 450 <= len(README.split()) <= 500
    assert len(re.findall(r"!\[.+\]\(docs/images/.+\.png\)", README)) == 2


def test_the_map_names_folders_that_exist():
    for folder in re.findall(r"^\| `([a-z0-9_/]+/)`", README, re.MULTILINE):
        assert (ROOT / folder).is_dir(), folder


def test_the_readmes_commands_and_answers_are_those_of_the_project(trained):
    """The figures in the README are those of a run with the default parameters."""
    in_readme, of_this_run = (_maes(text) for text in (README, trained.succeed("diamonds", "history")))

    assert in_readme == pytest.approx(of_this_run, rel=0.02)


def _maes(history):
    """The first dollar figure of each model's row."""
    rows = re.findall(r"^  ([a-z_]+) +\$([0-9,.]+)", history, re.MULTILINE)
    return {model: float(mae.replace(",", "")) for model, mae in rows}


def test_every_table_of_the_database_is_described_by_its_class():
    assert {table: bool(model.__doc__) for table, model in _models().items()} == dict.fromkeys(
        (
            *("training_run", "trained_model", "promotion", "traffic", "sale"),
            *("stream", "stream_checkpoint", "stream_history", "stream_reject", "stream_event"),
        ),
        True,
    )


def _models():
    return {mapper.class_.__tablename__: mapper.class_ for mapper in Base.registry.mappers}


def test_the_costs_in_the_cloud_are_what_the_page_computes():
    assert doctest.testfile(str(ROOT / "docs/cloud.md"), module_relative=False) == (0, 4)


def test_no_page_names_a_place_of_one_machine():
    for page in PAGES:
        assert not re.search(r"/(home|root|Users)/", page.read_text()), page


def test_telemetry_is_off():
    assert (ROOT / ".telemetry").read_text() == "consent: false\n"
    assert (
        json.dumps(yaml.safe_load((ROOT / "bentofile.yaml").read_text())["envs"])
        == '[{"name": "BENTOML_DO_NOT_TRACK", "value": "True"}]'
    )


def test_the_lock_holds_plain_versions_and_no_address():
    lines = (ROOT / "requirements.lock").read_text().splitlines()

    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!_]+", line) for line in lines)
    assert len(lines) == len({line.split("==")[0].lower() for line in lines})


def test_each_dependency_is_declared_once():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    names = [re.split(r"[\[<>=!; ]", line)[0] for group in groups for line in group]
    locked = {
        line.split("==")[0].lower().replace("_", "-")
        for line in Path(ROOT / "requirements.lock").read_text().splitlines()
    }

    assert sorted(names) == sorted(set(names))
    assert {name.lower() for name in names} <= locked | {"uvloop"}


def test_files_that_ask_for_the_long_run_are_known_to_the_scheduler():
    """It keeps them in one process: another would make the run once more."""
    asking = {
        path.name
        for path in (ROOT / "tests").rglob("test_*.py")
        if re.search(r"^def test_\w+\([^)]*\b(trained|served)\b", path.read_text(), re.MULTILINE)
    }

    assert asking == SHARE_TRAINED
