"""The containers: what docker-compose.yml and deploy/Dockerfile say holds, and fits what is there.

No engine runs here: each command is tried where it belongs (test_bento.py, streams/test_feed.py, test_cli.py).
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from diamonds.cli import cli
from project import ROOT

COMPOSE = ROOT / "docker-compose.yml"
SERVICES = yaml.safe_load(COMPOSE.read_text())["services"]
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()
#: Of BentoML's images and of ours.
USER = "1034"


def test_the_compose_file_holds_by_the_schema_of_compose_files():
    checker = Path(sys.executable).with_name("check-jsonschema")

    done = subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", COMPOSE], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout


def test_there_are_a_service_a_database_and_jobs_around_them():
    assert set(SERVICES) == {"service", "database", "migrate", "retrain", "prune", "api", "stream"}
    assert {name: service.get("profiles") for name, service in SERVICES.items() if "profiles" in service} == {
        "retrain": ["retrain"],
        "prune": ["prune"],
        "stream": ["stream"],
    }


@pytest.mark.parametrize("name", SERVICES)
def test_each_container_may_little(name):
    service = SERVICES[name]
    limits = service["deploy"]["resources"]["limits"]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(limits) == {"cpus", "memory", "pids"}
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - {"migrate", "retrain", "prune"}))
def test_what_runs_on_says_whether_it_is_well_and_comes_back(name):
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", ["service", "retrain", "prune", "stream"])
def test_tables_are_there_before_anything_that_needs_them(name):
    assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert SERVICES["migrate"]["depends_on"]["database"] == {"condition": "service_healthy"}


def test_no_secret_has_a_value_in_a_file_and_the_password_is_asked_for():
    given = {name: value for each in SERVICES.values() for name, value in each.get("environment", {}).items()}
    secrets = {name: value for name, value in given.items() if re.search("PASSWORD|TOKEN|KEY|URL", name)}

    assert all(value is None or "${POSTGRES_PASSWORD:?" in value for value in secrets.values()), secrets
    assert len(secrets) == 4
    assert re.findall(r"^(?!#).+=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE) == [""]


def test_each_variable_that_is_passed_on_is_explained_in_the_example():
    named = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    passed_on = {
        name for each in SERVICES.values() for name, value in each.get("environment", {}).items() if value is None
    }

    assert passed_on | {"POSTGRES_PASSWORD"} == named


def test_retraining_writes_the_store_that_the_service_reads():
    (read,) = (mount for mount in SERVICES["service"]["volumes"] if isinstance(mount, dict))

    assert "store:/var/lib/diamonds/store" in SERVICES["retrain"]["volumes"]
    assert "BENTOML_HOME=/var/lib/diamonds/store" in DOCKERFILE
    assert (read["source"], read["volume"], read["read_only"]) == ("store", {"subpath": "models"}, True)
    assert read["target"] == SERVICES["service"]["environment"]["BENTOML_HOME"] + "/models"


def test_the_first_to_mount_a_volume_has_its_folder_in_its_image_and_owns_it():
    """Else it would be root's, and the service could not write its outbox."""
    owned = DOCKERFILE.partition("install --directory --owner diamonds")[2].partition("&&")[0].split()

    for mount in SERVICES["migrate"]["volumes"]:
        assert mount.split(":")[1] in owned
    mounted = {mount.split(":")[0] for name in ("retrain", "stream") for mount in SERVICES[name]["volumes"]}
    assert mounted - {mount.split(":")[0] for mount in SERVICES["migrate"]["volumes"]} == {"./data/01_raw/appraisals"}


def test_the_image_of_the_project_installs_what_is_pinned_and_runs_as_nobody_special():
    steps = re.sub(r"\\\n\s*", "", DOCKERFILE).splitlines()

    assert [step for step in steps if step.startswith("FROM")] == [
        "FROM python:3.11-slim AS build",
        "FROM python:3.11-slim",
    ]
    assert any("--constraint requirements.lock" in step and '".[train,stream]"' in step for step in steps)
    assert [step for step in steps if step.startswith("USER")] == [f"USER {USER}:{USER}"]
    assert steps.index(f"USER {USER}:{USER}") > max(
        n for n, step in enumerate(steps) if step.startswith(("RUN", "COPY"))
    )
    assert f"useradd --uid {USER}" in DOCKERFILE


def test_all_that_is_copied_into_the_image_exists_and_is_let_through():
    let_through = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    copied = {
        source
        for words in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in words.split()[:-1]
    }

    assert copied == set(let_through)
    assert [source for source in copied if not (ROOT / source).exists()] == []


@pytest.mark.parametrize("name", ["migrate", "retrain", "api", "stream"])
def test_each_command_of_a_container_is_one_with_its_options(name):
    program, command, *words = SERVICES[name]["command"]
    options = {option for parameter in cli.commands[command].params for option in parameter.opts}

    assert program == "diamonds"
    assert {word for word in words if word.startswith("--")} <= options
