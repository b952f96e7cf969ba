"""Whether to retrain: what is fresh since the last run, and what monitoring concluded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ValidationError
from sqlalchemy import Engine

from diamonds.errors import DataError, DiamondsError
from diamonds.moments import written
from diamonds.store import history
from diamonds.store.revision import code_hash, code_version

#: Where `kedro run --pipelines=monitoring` leaves its verdicts, a folder for each.
VERDICTS = Path("data/08_reporting/monitoring_report.json")

Run = Mapping[str, Any]


class Verdict(BaseModel):
    """What monitoring concluded, why, and when."""

    retrain: Literal["yes", "no"]
    reason: str
    at: AwareDatetime


@dataclass(frozen=True)
class Present:
    """What a run would read now.

    Attributes:
        files: The SHA-256 of each CSV, by name.
        parameters: All, `conf/local` included.
        code_hash: Of the project's own code.
        code_version: The git commit, with a `+` where tracked files were changed.
    """

    files: Mapping[str, str]
    parameters: Mapping[str, Any]
    code_hash: str
    code_version: str | None


@dataclass(frozen=True)
class Decision:
    """Why to retrain, or, where there is no reason, why not: sentences without their full stop."""

    reasons: Sequence[str]
    against: Sequence[str] = ()

    def __or__(self, other: Decision) -> Decision:
        """Either's reasons suffice."""
        return Decision([*self.reasons, *other.reasons], [*self.against, *other.against])


def by_what_is_fresh(project: Path, engine: Engine) -> Decision:
    """Retrain where a file, parameter or code changed since the last whole run, or where that left something undone.

    A run that found nothing better than the champion counts too: the same again would find the same.

    Raises:
        DiamondsError: The CSVs or the configuration cannot be read.
    """
    last = last_whole_run(history.runs(engine))
    if last is None:
        return Decision(["no run has read all data yet"])
    reasons = [*_undone(project, last), *fresh(last, look(project))]
    return Decision(reasons, [f"no file, parameter or code has changed since the run {last['id']}"])


def by_verdict(project: Path, engine: Engine) -> Decision:
    """Retrain where monitoring's newest verdict says so, unless a whole run has succeeded since.

    Raises:
        DataError: The verdict cannot be read.
    """
    verdict = newest_verdict(project / VERDICTS)
    if verdict is None:
        return Decision([], ["monitoring has given no verdict yet"])
    said = f"monitoring says {verdict.retrain} ({written(verdict.at)}): {verdict.reason.rstrip('.')}"
    since = _followed(engine)
    if since is not None and verdict.at < since:
        return Decision([], [f"monitoring's verdict of {written(verdict.at)} is older than the models"])
    return Decision([said]) if verdict.retrain == "yes" else Decision([], [said])


def last_whole_run(runs: Sequence[Run]) -> Run | None:
    """The newest run of all pipelines that has ended; runs of a part say nothing of the rest."""
    ended = (run for run in runs if run["outcome"] != history.RUNNING and not set(run["selection"]) - {"env"})
    return next(ended, None)


def fresh(run: Run, present: Present) -> list[str]:
    """What changed since a run, each in a few words: files by their content, parameters by their place, the code."""
    changed = _files(run["files"] or [], present.files)
    before, now = (
        history.flat("parameter", json.loads(json.dumps(of))) for of in (run["parameters"], present.parameters)
    )
    changed += [f"{place} changed" for place in {**before, **now} if before.get(place) != now.get(place)]
    return [*changed, "the code changed"] if _has_other_code(run, present) else changed


def look(project: Path) -> Present:
    """What is there now, as the catalog and the configuration of this project say.

    Raises:
        DiamondsError: It cannot be read.
    """
    from kedro.framework.session import KedroSession

    from diamonds.hooks import plain_parameters

    with kedro_in_plain_words():
        context = KedroSession.create(project).load_context()
        contents = context.catalog.load("raw_appraisals")
        return Present(
            {name: _hash_of(content) for name, content in contents.items()},
            plain_parameters(context.params),
            code_hash(),
            code_version(project),
        )


def _hash_of(content: bytes | Path) -> str:
    """The SHA-256 of a file, of which an environment may know only where it is."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def retrain(project: Path) -> str:
    """Run all pipelines in this process, so that what ends it ends all of it; answers the run's id.

    Raises:
        DiamondsError: The data cannot be used, or a model failed.
    """
    from kedro.framework.session import KedroSession

    session = KedroSession.create(project)
    with kedro_in_plain_words(), session:
        session.run()
    return str(session.store["session_id"])


def open_project(project: Path) -> None:
    """Let Kedro know the project in this folder.

    Raises:
        DiamondsError: There is none.
    """
    if not (project / "conf").is_dir():
        raise DiamondsError(f"there is no project in {project}: run this where `kedro run` is run")
    from kedro.framework.startup import bootstrap_project

    bootstrap_project(project)


@contextmanager
def kedro_in_plain_words() -> Iterator[None]:
    """What Kedro raises for what a person can mend, as ours.

    Raises:
        DiamondsError: Kedro could not read the project's data or configuration.
    """
    from kedro.config import BadConfigException, MissingConfigException
    from kedro.framework.context import KedroContextError
    from kedro.io import DatasetError
    from kedro.validation.exceptions import ParameterValidationError

    try:
        yield
    except DatasetError as error:
        raise DiamondsError(str(error.__cause__ or error)) from error
    except (BadConfigException, KedroContextError, MissingConfigException, ParameterValidationError) as error:
        raise DiamondsError(str(error)) from error


def newest_verdict(folder: Path) -> Verdict | None:
    """The newest verdict of monitoring; None if there is none.

    Raises:
        DataError: It is none that can be read.
    """
    place = max(folder.glob(f"*/{folder.name}"), default=None)
    if place is None:
        return None
    try:
        return Verdict.model_validate_json(place.read_bytes())
    except (OSError, ValidationError) as error:
        raise DataError(
            f"{place} is no verdict of monitoring: `kedro run --pipelines=monitoring` gives a new one"
        ) from error


def _undone(project: Path, last: Run) -> list[str]:
    """What the last run should have left, and did not."""
    from diamonds.datasets import BentoModelDataset, ChampionDataset

    champion = ChampionDataset(path=str(project)).load()
    undone = [] if last["outcome"] == history.SUCCEEDED else [f"the run {last['id']} {_ended(last)}"]
    if champion is None:
        return [*undone, "there is no champion yet"]
    if champion.problem:
        return [*undone, f"the champion cannot be loaded: {champion.problem}"]
    if not BentoModelDataset(name="diamonds").serves(champion):
        return [*undone, "the model store does not have the champion yet"]
    return undone


def _ended(run: Run) -> str:
    return "was interrupted" if run["outcome"] == history.INTERRUPTED else "failed"


def _followed(engine: Engine) -> datetime | None:
    """When what is known now was learned: the start of the champion's run, or of a later one that kept the champion."""
    champion = history.champion(engine)
    last = next((run for run in history.runs(engine) if _has_succeeded(run)), None)
    began = [history.run(engine, champion.version)["started_at"]] if champion else []
    return max([*began, *([last["started_at"]] if last else [])], default=None)


def _has_succeeded(run: Run) -> bool:
    return run["outcome"] == history.SUCCEEDED and last_whole_run([run]) is not None


def _files(before: Sequence[Mapping[str, Any]], now: Mapping[str, str]) -> list[str]:
    """The files whose content is new or gone; one that only has another name is neither."""
    was = {file["name"]: file["sha256"] for file in before}
    new = [name for name, digest in now.items() if digest not in was.values()]
    gone = [name for name, digest in was.items() if digest not in now.values() and name not in now]
    changed = [f"{name} {'changed' if name in was else 'is new'}" for name in new] + [
        f"{name} is gone" for name in gone
    ]
    if not changed and sorted(was.values()) != sorted(now.values()):
        return ["a file is there another number of times"]
    return changed


def _has_other_code(run: Run, present: Present) -> bool:
    if run["code_hash"]:
        return bool(run["code_hash"] != present.code_hash)
    known = run["code_version"]  # of runs that were entered before the history knew the hash
    return known is None or known.endswith("+") or known != present.code_version
