"""What the page of all models is rendered from: the champion, the newest leaderboard, and the course of each metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Engine

from diamonds.drift import Report
from diamonds.service import artefacts
from diamonds.service.champion import LoadedChampion
from diamonds.service.weaknesses import weaknesses
from diamonds.service.wording import MEASURES, known, part
from diamonds.store import history as memory

#: The model that knows nothing: whoever does not beat it is no use.
FLOOR = "median"
CONFIDENCE = 0.9
#: So many of the features that moved most are told of.
MOST_MOVED = 5
UNSHOWN = "The models cannot be shown like this"
Run = Mapping[str, Any]


class ModelsQuery(BaseModel):
    """How much of the history the page shows."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(100, ge=1, le=1000, description="how many runs at most, the newest")
    promoted: str | None = Field(None, description="where a promotion leads back to the page")


def values(engine: Engine, query: ModelsQuery, serving: LoadedChampion | None, data: Path) -> dict[str, Any]:
    """What the template names.

    Args:
        engine: The database.
        query: How much is asked for.
        serving: The champion that this worker has loaded.
        data: The folder where runs of this machine leave their data.

    Raises:
        SQLAlchemyError: The database is away.
    """
    runs = memory.runs(engine, query.limit + 1)
    more, runs = len(runs) > query.limit, runs[: query.limit]
    present = memory.champion(engine)
    promotions = memory.promotions(engine)
    judged = [run for run in runs if is_judged(run)]
    known_values = {"runs": runs, "more": more, "limit": query.limit, "measures": MEASURES, "floor": FLOOR}
    known_values |= {"judged": judged[0] if judged else None, "changes": changes(runs), "course": course(judged)}
    known_values |= {"promotions": promotions, "former": former(promotions), "promoted": query.promoted is not None}
    known_values |= {"present": present, **(_watched(data, present) if present else {})}
    return known_values | (_champion(engine, present, serving) if present else {})


def _champion(engine: Engine, present: memory.Champion, serving: LoadedChampion | None) -> dict[str, Any]:
    """What is told of the champion: its run, and what is known of it while it serves."""
    run = memory.run(engine, present.version)
    confidence = confidence_of(run)
    is_serving = serving is not None and (serving.pricer.name, serving.pricer.version) == (
        present.name,
        present.version,
    )
    return {
        "present_run": run,
        "confidence": confidence,
        "weaknesses": weaknesses(present.metrics, confidence),
        "is_serving": is_serving,
        "ranges": serving.pricer.summary.ranges if serving and is_serving else None,
    }


def _watched(data: Path, present: memory.Champion) -> dict[str, Any]:
    """The newest report on this machine, where it is of the champion, and what it says of the features."""
    watched = artefacts.watched(data)
    if watched is None or (watched.report.model, watched.report.version) != (present.name, present.version):
        return {"watched": None}
    return {"watched": watched, "moved": moved(watched.report)}


def moved(report: Report) -> list[dict[str, Any]]:
    """Of the features that enough stones tell, those that moved most, each with its part of the one that moved most."""
    told = {name: its.psi for name, its in report.features.items() if its.psi is not None}
    ranked = sorted(told, key=lambda name: -told[name])[:MOST_MOVED]
    return [
        {"feature": name, "its": report.features[name], "part": part(told[name], told[ranked[0]])} for name in ranked
    ]


def confidence_of(run: Run) -> float:
    """The share of prices that the bands of a run's models are meant to hold."""
    return float((run["parameters"].get("calibration") or {}).get("confidence", CONFIDENCE))


def is_judged(run: Run) -> bool:
    """Whether any model of a run was judged."""
    return any((model["metrics"] or {}).get("overall") for model in run["models"])


def changes(runs: Sequence[Run]) -> set[str]:
    """The runs, of these from the newest on, whose errors do not compare with those of the judged run before each."""
    judged = [run for run in runs if is_judged(run)]
    return {newer["id"] for newer, older in pairwise(judged) if not memory.same_holdout((newer, older))}


def former(promotions: Sequence[Mapping[str, Any]]) -> set[int]:
    """Of all promotions from the latest on, those whose models can be rolled back to: each model's latest."""
    latest: dict[tuple[str, str], int] = {}
    for entry in promotions:
        latest.setdefault((entry["to_model"], entry["to_version"]), entry["id"])
    return set(list(latest.values())[1:])


def course(judged: Sequence[Run]) -> dict[str, Any]:
    """Each metric of each model, the oldest run first, as small as a figure can do with.

    Returns:
        `runs`: id and moment in milliseconds of each; `models`: by name the `at`, places in `runs`, the `holdouts`,
        as numbers that are equal where they are known to be the same, whether each was `promoted`, and each metric;
        the best of the newest run first.
    """
    oldest_first = list(reversed(judged))
    numbers: dict[str, int] = {}
    models: dict[str, dict[str, list[Any]]] = {}
    for place, model in _judged_models(oldest_first):
        overall, holdout = model["metrics"]["overall"], model["holdout"]
        of_model = models.setdefault(model["name"], {name: [] for name in ("at", "holdouts", "promoted", *MEASURES)})
        of_model["at"].append(place)
        of_model["holdouts"].append(None if holdout is None else numbers.setdefault(holdout, len(numbers)))
        of_model["promoted"].append(int(model["promoted"]))
        for name in MEASURES:
            of_model[name].append(_short(overall.get(name)))
    began = [[run["id"], round(run["started_at"].timestamp() * 1000)] for run in oldest_first]
    newest = [model["name"] for model in judged[0]["models"]] if judged else []
    ranked = {name: models[name] for name in [*newest, *sorted(models)] if name in models}
    return {"runs": began, "models": ranked, "floor": FLOOR}


def _judged_models(runs: Sequence[Run]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for place, run in enumerate(runs):
        for model in run["models"]:
            if (model["metrics"] or {}).get("overall"):
                yield place, model


def _short(value: float | None) -> float | None:
    """Five digits, as more cannot be seen."""
    return float(f"{value:.5g}") if value is not None and known(value) else None
