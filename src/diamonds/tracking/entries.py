"""A run of the history in MLflow's words: parameters, metrics and tags as MLflow accepts them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, TypedDict

from diamonds.store import history

#: MLflow's own limits, in characters.
LONGEST_KEY, LONGEST_PARAMETER, LONGEST_TAG = 250, 6000, 8000


class Entry(TypedDict):
    """One run of MLflow.

    Attributes:
        name: What MLflow shows.
        status: `FINISHED` or `FAILED`.
        started: Milliseconds since 1970.
        finished: Milliseconds since 1970.
        parameters: By their path, `split.holdout`.
        metrics: Dollars and fractions, as in the history: `mae`, `four_cs/mae`, `carat 0.5-1/mae`.
        tags: What else is known.
    """

    name: str
    status: str
    started: int
    finished: int
    parameters: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]


def entries_of(run: Mapping[str, Any]) -> list[Entry]:
    """The entry of a run, as `history.run` gives it, followed by one for each of its models."""
    return [_run_entry(run), *(_model_entry(run, model) for model in run["models"])]


def _run_entry(run: Mapping[str, Any]) -> Entry:
    champions = [model["name"] for model in run["models"] if model["promoted"]]
    counts = ("rows_in", "quarantined", "duplicates", "training_rows", "holdout_rows")
    return Entry(
        name=run["id"],
        status="FINISHED" if run["outcome"] == history.SUCCEEDED else "FAILED",
        started=_milliseconds(run["started_at"]),
        finished=_milliseconds(run["finished_at"]),
        parameters=_parameters(run["parameters"]),
        metrics=_numbers("", {count: run[count] for count in counts}),
        tags=_tags(_origin(run), outcome=run["outcome"], error=run["error"], champion=", ".join(champions)),
    )


def _model_entry(run: Mapping[str, Any], model: Mapping[str, Any]) -> Entry:
    failed = model["error"] is not None
    return Entry(
        name=model["name"],
        status="FAILED" if failed else "FINISHED",
        started=_milliseconds(run["started_at"]),
        finished=_milliseconds(model["trained_at"]),
        parameters=_parameters(model["parameters"] or {}),
        metrics=_metrics(model["metrics"] or {}),
        tags=_tags(
            _origin(run),
            model=model["name"],
            outcome=history.FAILED if failed else history.SUCCEEDED,
            error=model["error"],
            champion=str(model["promoted"]).lower(),
        ),
    )


def _origin(run: Mapping[str, Any]) -> dict[str, str | None]:
    return {"kedro_run_id": run["id"]} | {key: run[key] for key in ("code_version", "data_fingerprint", "decision")}


def _tags(origin: Mapping[str, str | None], **others: str | None) -> dict[str, str]:
    return {key: value[:LONGEST_TAG] for key, value in {**origin, **others}.items() if value}


def _parameters(nested: Mapping[str, Any]) -> dict[str, str]:
    return {
        _key(path): (leaf if isinstance(leaf, str) else json.dumps(leaf))[:LONGEST_PARAMETER]
        for path, leaf in _leaves(nested)
    }


def _leaves(value: Any, *path: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - JSON is anything
    if not isinstance(value, dict):
        yield ".".join(path), value
        return
    for key, inner in value.items():
        yield from _leaves(inner, *path, key)


def _metrics(found: Mapping[str, Any]) -> dict[str, float]:
    named = _numbers("", {"stones": found.get("stones")} | found.get("overall", {}))
    named |= _numbers("four_cs/", found.get("four_cs", {}))
    for kind, members in found.get("segments", {}).items():
        for member, quality in members.items():
            named |= _numbers(f"{kind} {member}/", quality)
    return named


def _numbers(place: str, values: Mapping[str, Any]) -> dict[str, float]:
    return {_key(place + name): value for name, value in values.items() if isinstance(value, int | float)}


def _key(name: str) -> str:
    """A name of the characters that MLflow knows.

    >>> _key("carat 2+/mae")
    'carat 2 or more/mae'
    """
    return re.sub(r"[^\w\-./: ]", "_", name.replace("+", " or more"))[:LONGEST_KEY]


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
