"""A Bento of the service, in an environment that holds nothing but what the Bento asks for."""

import json
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

from project import ROOT, START_SECONDS, Project, serve, status_of, stop

BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def bento(small_trained_once, tmp_path_factory) -> Path:
    """The Bento of a small project, unpacked; built by the target that people call."""
    project = Project(shutil.copytree(small_trained_once.folder, tmp_path_factory.mktemp("bento") / "project"))
    shutil.copy(ROOT / "Makefile", project.folder)
    shutil.copy(ROOT / "README.md", project.folder)
    subprocess.run(
        ["make", "bento", "--old-file=.venv/ready", f"BIN={BIN}"],
        cwd=project.folder, env=project.environment, check=True, capture_output=True,
    )  # fmt: skip
    unpacked = project.folder / "unpacked"
    with tarfile.open(project.folder / "build/diamonds.bento") as archive:
        archive.extractall(unpacked, filter="data")
    assert (project.folder / "build/bento/env/docker/Dockerfile").is_file(), "what docker compose builds from"
    return unpacked


@pytest.fixture(scope="module")
def environment(bento, tmp_path_factory) -> Path:
    """An environment with the requirements of the Bento, and nothing else."""
    environment = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([BIN / "uv", "venv", "--quiet", "--python", sys.executable, environment], check=True)
    python, requirements = environment / "bin/python", bento / "env/python/requirements.txt"
    subprocess.run([BIN / "uv", "pip", "install", "--quiet", "--python", python, "-r", requirements], check=True)
    return environment


def test_a_bento_serves_where_only_its_own_requirements_are_installed(bento, environment, tmp_path):
    python = environment / "bin/python"
    kedro = subprocess.run([python, "-c", "import kedro"], capture_output=True, text=True, check=False)
    assert "No module named 'kedro'" in kedro.stderr

    running = serve(
        Project(bento),
        program=environment / "bin/bentoml",
        words=["."],
        PYTHONPATH="",
        DIAMONDS_WORKERS="2",
        BENTOML_HOME=str(tmp_path / "home"),
    )
    request = urllib.request.Request(  # noqa: S310 - our own loopback address
        f"{running.url}/predict",
        b'{"carat": 1.1, "cut": "Ideal", "color": "H", "clarity": "SI2"}',
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        quote = json.load(answer)
    pages = {path: status_of(running.url + path) for path in ("/", "/docs", "/champion", "/static/style.css")}
    stop(running)

    assert pages == dict.fromkeys(pages, 200)
    assert quote["model"] == "xgboost"
    assert quote["low"] < quote["price"] < quote["high"]
    assert (bento / "data/diamonds.db").is_file(), "the traffic lies where the service was started"


def test_in_a_container_it_follows_the_model_store_of_a_volume_that_is_empty_at_first(bento, environment, tmp_path):
    container = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["service"]
    program, verb, *words, _, host, _, port = container["command"]
    assert (program, verb, host, port) == ("bentoml", "serve", "0.0.0.0", "3000")  # noqa: S104 - it is compared
    store = tmp_path / "home/models/diamonds"

    running = serve(
        Project(bento),
        until=503,
        program=environment / "bin/bentoml",
        words=words,
        PYTHONPATH="",
        BENTOML_HOME=str(tmp_path / "home"),
    )
    shutil.copytree(bento / "models/diamonds", tmp_path / "aside")
    (tmp_path / "aside").rename(store)
    ready = _wait_for(f"{running.url}/readyz", 200)
    stop(running)

    assert ready


def _wait_for(url: str, status: int) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while status_of(url) != status and time.monotonic() < deadline:
        time.sleep(0.1)  # a champion that is being loaded has no event to wait for
    return status_of(url) == status


def test_a_bento_holds_the_champion_and_no_training_code(bento):
    (champion,) = (path for path in (bento / "models/diamonds").iterdir() if path.is_dir())

    assert (champion / "manifest.json").is_file()
    assert not (bento / "src/diamonds/pipelines").exists()
    assert not (bento / "src/diamonds/datasets").exists()


def test_each_requirement_is_pinned_as_in_the_lock(bento):
    locked = set((ROOT / "requirements.lock").read_text().split())
    required = [
        line.split(" ;")[0].strip() for line in (bento / "env/python/requirements.txt").read_text().splitlines()
    ]

    assert [line for line in required if line and line not in locked] == []
    assert not any(line.startswith(("kedro", "optuna", "pandera")) for line in required)


def test_its_image_is_slim_runs_as_nobody_special_and_installs_what_is_pinned(bento):
    lines = (bento / "env/docker/Dockerfile").read_text().splitlines()
    steps = [line for line in lines if line and not line.startswith((" ", "#"))]

    assert steps[0] == "FROM python:3.11-slim AS base-container"
    assert [line for line in steps if line.startswith(("USER", "ENTRYPOINT"))] == [
        "USER bentoml",
        'ENTRYPOINT [ "/home/bentoml/bento/env/docker/entrypoint.sh" ]',
    ]
    assert "ARG BENTO_USER_UID=1034" in steps, "deploy/Dockerfile has the same: both use one volume"
    assert steps.index("USER bentoml") > max(place for place, line in enumerate(steps) if line.startswith("RUN"))
    assert "EXPOSE 3000" in steps
    assert any("uv venv --python 3.11 /app/.venv" in line for line in lines)
    assert any(line.endswith("pip install -r $BENTO_PATH/env/python/requirements.txt") for line in lines)
    assert "ARG BENTOML_DO_NOT_TRACK=True" in steps


def test_neither_its_image_nor_its_requirements_name_a_package_index(bento):
    text = "".join((bento / "env" / name).read_text() for name in ("docker/Dockerfile", "python/requirements.txt"))

    assert not any(word in text for word in ("--index-url", "--extra-index-url", "--find-links", "http://", "https://"))


def test_it_says_what_it_is(bento):
    manifest = yaml.safe_load((bento / "bento.yaml").read_text())

    assert manifest["labels"] == {
        "project": "diamonds",
        "stage": "production",
        "task": "regression",
        "owner": "pricing",
    }
    assert manifest["schema"]["description"].startswith("Prices of diamonds")
