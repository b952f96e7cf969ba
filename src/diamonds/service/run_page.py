"""What the page of one run is rendered from: what became of it, its data, its models, and what it left on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from diamonds.errors import NoSuchModelError
from diamonds.service import artefacts
from diamonds.service.models_page import FLOOR, confidence_of, is_judged
from diamonds.service.problems import RefusedError
from diamonds.service.wording import MEASURES, part, plain
from diamonds.store import history as memory

#: A node that took a smaller share of the run is not shown among the first.
SMALL = 0.01
KINDS = {"carat": "Weight", "cut": "Cut", "color": "Color", "clarity": "Clarity"}


def values(engine: Engine, run_id: str, data: Path) -> dict[str, Any]:
    """What the template names.

    Args:
        engine: The database.
        run_id: Which run.
        data: The folder where runs of this machine leave their data.

    Raises:
        RefusedError: There is no such run.
        SQLAlchemyError: The database is away.
    """
    try:
        run = memory.run(engine, run_id)
    except NoSuchModelError as error:
        raise RefusedError(404, title=f"There is no run {run_id}") from error
    before = memory.run_before(engine, run_id)
    present = memory.champion(engine)
    return {
        "run": run,
        "before": before,
        "present": present,
        "present_error": ((present.metrics.get("overall") or {}).get("mae")) if present else None,
        "confidence": confidence_of(run),
        "measures": MEASURES,
        "kinds": KINDS,
        "floor": FLOOR,
        "selection": {name: chosen for name, chosen in run["selection"].items() if chosen},
        "seconds": _seconds(run),
        "nodes": _nodes(run["durations"] or {}),
        "refused_rows": artefacts.quarantined(data, run_id) if run["quarantined"] else [],
        "drawn": {model["name"]: artefacts.figures(data, run_id, model["name"]) for model in run["models"]},
        "differences": list(_differences(before, run)) if before else [],
        "compares": before is None or memory.same_holdout((before, run)),
        "judged": is_judged(run),
    }


def _seconds(run: Mapping[str, Any]) -> float | None:
    return (run["finished_at"] - run["started_at"]).total_seconds() if run["finished_at"] else None


def _nodes(durations: Mapping[str, float]) -> dict[str, Any]:
    """The nodes that took a share worth seeing, in the order run, each with its part of the longest; and the rest."""
    whole, longest = sum(durations.values()), max(durations.values(), default=0)
    shown = {name: seconds for name, seconds in durations.items() if seconds and seconds >= SMALL * whole}
    bars = [(name, seconds, part(seconds, longest)) for name, seconds in shown.items()]
    rest = [(name, seconds) for name, seconds in durations.items() if name not in shown]
    return {"bars": bars, "rest": rest, "rest_seconds": sum(seconds for _, seconds in rest)}


def _differences(before: Mapping[str, Any], run: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for place, pair in memory.differences(before, run).items():
        yield place, plain(pair[0]), plain(pair[1])
