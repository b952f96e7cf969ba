"""Two `diamonds tune` on one study in PostgreSQL beside one: how long they take for as many trials, and a kill.

Each runs in a folder of its own with the same stones, as on a machine of its own, and with one thread. The time is that
of the whole command, from its start: what every machine does before its first trial is in it.
"""

import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.scale.processors import Busy, watching
from benchmarks.scale.sizes import Sizes
from benchmarks.service import bodies
from benchmarks.service.servers import ROOT, end, neutral_environment
from benchmarks.traffic.findings import Findings
from benchmarks.traffic.sites import POSTGRESQL, Site, Sites
from diamonds.config import Settings
from diamonds.store.studies import open_studies

#: Of the time that one takes, two take at most so much.
MOST = 0.65
PATIENCE_SECONDS = 1800
ENDED = ("COMPLETE", "PRUNED")


@dataclass(frozen=True)
class Tuner:
    """A running `diamonds tune`, and the file of what it finds."""

    process: psutil.Popen
    found: Path

    def result(self) -> dict[str, Any]:
        """What it found.

        Raises:
            RuntimeError: It failed.
        """
        if self.process.wait(PATIENCE_SECONDS):
            raise RuntimeError(f"diamonds tune failed: {self.found.with_suffix('.log').read_text()[-2000:]}")
        return dict(json.loads(self.found.read_text()))


def measure(sites: Sites, sizes: Sizes) -> Findings:
    """Let one make all trials, then two together, then two of which one is killed."""
    findings = Findings("tuners")
    alone, one = searched(sites, sizes, 1)
    together, two = searched(sites, sizes, 2)
    findings.add(f"one for {sizes.trials} trials", alone.seconds, "s")
    findings.add("two for as many, beside one", together.seconds / alone.seconds, "times", most=MOST)
    for number, busy, found in ((1, alone, one), (2, together, two)):
        mae, count = found["cross_validated_mae"], len(ended(found["trials"]))
        findings.remarks.append(f"{number}: {count} trials in {busy.seconds:.0f} s, the best ${mae:.2f}; {busy}")
        findings.blame(f"{number} tuners", mistakes(found["trials"], sizes.trials))
    kill(findings, sites, sizes)
    return findings


def searched(sites: Sites, sizes: Sizes, count: int) -> tuple[Busy, dict[str, Any]]:
    """What so many tuners take that are started at once, and what the last of them found."""
    site = sites.make(POSTGRESQL)
    with ExitStack() as running, site.engine():
        tuners = [running.enter_context(tuning(site, number, sizes)) for number in range(count)]
        with watching([]) as busy:
            found = [tuner.result() for tuner in tuners]
    return busy, found[-1]


def kill(findings: Findings, sites: Sites, sizes: Sizes) -> None:
    """Kill one of two when a third of the trials has ended, and see what the other makes of it."""
    site = sites.make(POSTGRESQL)
    with ExitStack() as running, site.engine():
        killed, other = (running.enter_context(tuning(site, number, sizes)) for number in range(2))
        while len(known := ended(trials_of(site))) < sizes.trials // 3:
            time.sleep(0.1)
        killed.process.kill()
        killed.process.wait()
        known = ended(trials_of(site))
        other.result()
        left = trials_of(site)
    findings.add("trials that had ended when one of two was killed", len(known))
    kept = [trial for trial in known if trial in left]
    findings.add("of these, kept", len(kept), least=len(known))
    findings.add("trials in the end", len(ended(left)), least=sizes.trials)
    findings.blame("one killed", mistakes(left, sizes.trials))
    if len(kept) < len(known):
        findings.blame("one killed", ["finished trials were lost"])


def ended(trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that have come to an end."""
    return [trial for trial in trials if trial["state"] in ENDED]


def mistakes(trials: list[dict[str, Any]], goal: int) -> Iterator[str]:
    """What is wrong with a study: too few trials, far too many, one that was made twice."""
    count = len(ended(trials))
    if not goal <= count <= 1.1 * goal + 1:  # who begins a little later counts from then on
        yield f"{count} trials ended, of {goal}"
    tried = [str(trial["params"]) for trial in trials if trial["params"]]
    if len(set(tried)) < len(tried):
        yield f"{len(tried) - len(set(tried))} trials were made twice"


def trials_of(site: Site) -> list[dict[str, Any]]:
    """The trials of the only study of a database, as `diamonds tune --json` shows them."""
    storage = open_studies(Settings(database_url=site.url))
    try:
        studies = storage.get_all_studies()
        found = storage.get_all_trials(studies[0]._study_id) if studies else []
        return [
            {"number": each.number, "mae": each.value, "state": each.state.name, "params": each.params}
            for each in found
        ]
    finally:
        storage.remove_session()
        storage.engine.dispose()


@contextmanager
def tuning(site: Site, number: int, sizes: Sizes) -> Iterator[Tuner]:
    """A tuner of its own in a copy of the project."""
    project, found = site.folder / f"machine-{number}", site.folder / f"found-{number}.json"
    make_project(project, sizes.searched)
    environment = neutral_environment() | {"DIAMONDS_DATABASE_URL": site.url, "OMP_NUM_THREADS": "1"}
    words = ["tune", "xgboost", "--trials", str(sizes.trials), "--n-jobs", "1", "--json"]
    with found.open("wb") as out, found.with_suffix(".log").open("wb") as log:
        process = psutil.Popen(
            [str(Path(sys.executable).with_name("diamonds")), *words],
            cwd=project,
            env=environment,
            stdout=out,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for us, who end it in order
        )
    try:
        yield Tuner(process, found)
    finally:
        end(process)


def make_project(project: Path, stones: int) -> None:
    """A copy of the project with so many stones, and no end of its own to a search."""
    shutil.copytree(ROOT / "conf", project / "conf")
    (project / "src").mkdir()
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, project)
    appraisals = project / "data/01_raw/appraisals"
    appraisals.mkdir(parents=True)
    known = bodies.default_stones()
    known.sample(min(stones, len(known)), random_state=0).to_csv(appraisals / "some.csv", index=False)
    parameters = project / "conf/base/parameters_training.yml"
    parameters.write_text(parameters.read_text().replace("timeout: 45", "timeout: null"))
