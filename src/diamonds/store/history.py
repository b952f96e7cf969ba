"""The memory of training: every run, every model of it with its metrics, and every change of champion."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from diamonds.errors import DatabaseError, NoSuchModelError, PromotionConflictError
from diamonds.store.database import writing
from diamonds.store.tables import Promotion, TrainedModel, TrainingRun

RUNNING, SUCCEEDED, FAILED, INTERRUPTED = "running", "succeeded", "failed", "interrupted"
#: How the place of a metric ends among the differences of two runs that were not judged by the same stones.
NOT_COMPARABLE = " (not comparable)"


@dataclass(frozen=True)
class Champion:
    """The model that serves, and the entry that made it so."""

    promotion_id: int
    promoted_at: datetime
    reason: str
    name: str
    version: str
    trained_at: datetime
    parameters: dict[str, Any]
    metrics: dict[str, Any]
    artefact: str
    holdout: str | None = None


def start_run(
    engine: Engine,
    run_id: str,
    selection: Mapping[str, Any],
    parameters: Mapping[str, Any],
    code_version: str | None,
) -> None:
    """Enter a run that begins now."""
    try:
        with Session(writing(engine)) as session, session.begin():
            session.add(
                TrainingRun(
                    id=run_id,
                    started_at=datetime.now(UTC),
                    outcome=RUNNING,
                    process=_this_process(),
                    selection=dict(selection),
                    parameters=dict(parameters),
                    code_version=code_version,
                )
            )
    except IntegrityError as error:
        raise DatabaseError(f"another run began in the same millisecond, {run_id}: run this again") from error


def update_run(engine: Engine, run_id: str, **values: Any) -> None:  # noqa: ANN401 - columns of training_run
    """Set columns of a run's row."""
    with Session(writing(engine)) as session, session.begin():
        session.execute(update(TrainingRun).where(TrainingRun.id == run_id).values(**values))


def finish_run(
    engine: Engine,
    run_id: str,
    outcome: str,
    error: str | None = None,
    durations: dict[str, float] | None = None,
) -> None:
    """Close a run's row; `durations` are seconds by node, in the order run."""
    update_run(engine, run_id, finished_at=datetime.now(UTC), outcome=outcome, error=error, durations=durations)


def record_model(engine: Engine, run_id: str, name: str, **values: Any) -> None:  # noqa: ANN401 - columns
    """Enter a model that a run trained, or failed to train, or set columns of its row; its version is the run."""
    with Session(writing(engine)) as session, session.begin():
        row = session.scalar(select(TrainedModel).where(TrainedModel.name == name, TrainedModel.version == run_id))
        if row is None:
            row = TrainedModel(run_id=run_id, name=name, version=run_id, trained_at=datetime.now(UTC))
            session.add(row)
        for column, value in values.items():
            setattr(row, column, value)


def champion(engine: Engine) -> Champion | None:
    """The model that serves now; None before the first promotion."""
    query = (
        select(Promotion, TrainedModel)
        .join(
            TrainedModel,
            (TrainedModel.name == Promotion.to_model) & (TrainedModel.version == Promotion.to_version),
        )
        .order_by(Promotion.id.desc())
        .limit(1)
    )
    with Session(engine) as session:
        found = session.execute(query).first()
    if found is None:
        return None
    entry, model = found
    return Champion(
        promotion_id=entry.id,
        promoted_at=entry.decided_at,
        reason=entry.reason,
        name=model.name,
        version=model.version,
        trained_at=model.trained_at,
        parameters=model.parameters or {},
        metrics=model.metrics or {},
        artefact=model.artefact or "",
        holdout=model.holdout,
    )


def promote(engine: Engine, name: str, version: str, reason: str, previous_id: int) -> None:
    """Make a trained model the champion, as the successor of the promotion `previous_id` (0 for the first).

    Entering the same promotion again changes nothing.

    Raises:
        NoSuchModelError: This database knows no run that trained the model; nothing was entered.
        PromotionConflictError: Another promotion succeeded it in the meantime.
    """
    if trained_model(engine, name, version) is None:
        raise NoSuchModelError(
            f"{name} {version} was not promoted: no run of this database trained it;"
            " `kedro run` trains anew, or see DIAMONDS_DATABASE_URL"
        )
    try:
        with Session(writing(engine)) as session, session.begin():
            before = session.get(Promotion, previous_id)
            session.add(
                Promotion(
                    previous_id=previous_id,
                    from_model=before.to_model if before else None,
                    from_version=before.to_version if before else None,
                    to_model=name,
                    to_version=version,
                    reason=reason,
                    decided_at=datetime.now(UTC),
                )
            )
    except IntegrityError as error:
        with Session(engine) as session:
            there = session.scalar(select(Promotion).where(Promotion.previous_id == previous_id))
        if there is None or (there.to_model, there.to_version) != (name, version):
            raise PromotionConflictError(
                f"{name} {version} was not promoted: another run changed the champion meanwhile; run again"
            ) from error


def trained_model(engine: Engine, name: str, version: str) -> dict[str, Any] | None:
    """The row of a model of a run; None if there is none."""
    with Session(engine) as session:
        found = session.scalar(select(TrainedModel).where(TrainedModel.name == name, TrainedModel.version == version))
        return _columns(found) if found else None


def former_champions(engine: Engine) -> list[tuple[str, str]]:
    """Name and version of each model that was champion before the present one, the latest first, each once."""
    with Session(engine) as session:
        entries = session.scalars(select(Promotion).order_by(Promotion.id.desc())).all()
    reigned = dict.fromkeys((entry.to_model, entry.to_version) for entry in entries)
    return list(reigned)[1:]


def promotions(engine: Engine) -> list[dict[str, Any]]:
    """Every change of champion, the latest first."""
    with Session(engine) as session:
        return [_columns(entry) for entry in session.scalars(select(Promotion).order_by(Promotion.id.desc()))]


def runs(engine: Engine, limit: int | None = None) -> list[dict[str, Any]]:
    """The newest runs first, all or `limit`, each with its models (best MAE first) and whether one was promoted.

    A run of this machine whose process is gone is marked as interrupted first.
    """
    _mark_interrupted(engine)
    with Session(engine) as session:
        found = session.scalars(select(TrainingRun).order_by(TrainingRun.started_at.desc()).limit(limit)).all()
        return _with_models(session, found)


def run(engine: Engine, run_id: str) -> dict[str, Any]:
    """One run with its models, as `runs` gives it.

    Raises:
        NoSuchModelError: There is no such run.
    """
    _mark_interrupted(engine)
    with Session(engine) as session:
        found = session.get(TrainingRun, run_id)
        if found is None:
            raise NoSuchModelError(f"there is no run {run_id}: see `diamonds history`")
        return _with_models(session, [found])[0]


def run_before(engine: Engine, run_id: str) -> dict[str, Any] | None:
    """The run that began next before this one, with its models; None before the first."""
    began = select(TrainingRun.started_at).where(TrainingRun.id == run_id).scalar_subquery()
    earlier = select(TrainingRun.id).where(TrainingRun.started_at < began).order_by(TrainingRun.started_at.desc())
    with Session(engine) as session:
        found = session.scalar(earlier.limit(1))
    return run(engine, found) if found else None


def holdout_of(run: Mapping[str, Any]) -> str | None:
    """The hash of the holdout that judged a run's models, or that it left; None where it is not known.

    A run that trains one model alone makes no holdout: it judges by the one that another run left.
    """
    holdouts: Iterator[str | None] = (model["holdout"] for model in run["models"] if model["metrics"])
    return next(holdouts, run["holdout"])


def same_holdout(runs: Iterable[Mapping[str, Any]]) -> bool:
    """Whether the models of these runs are known to be judged on the same stones, so that errors compare."""
    holdouts = [holdout_of(run) for run in runs if any(model["metrics"] for model in run["models"])]
    return len(holdouts) <= 1 or (None not in holdouts and len(set(holdouts)) == 1)


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What differs between two runs, by its place: data, code, parameters, holdout, and each model's metrics.

    The place of a metric ends in `NOT_COMPARABLE` unless the two are known to have the same holdout. How long the
    nodes took is left out: it always differs.
    """
    mark = "" if same_holdout((first, second)) else NOT_COMPARABLE
    before, after = (_comparable(each, mark) for each in (first, second))
    places = [*before, *(place for place in after if place not in before)]
    pairs = {place: (before.get(place), after.get(place)) for place in places}
    return {place: pair for place, pair in pairs.items() if pair[0] != pair[1]}


def _comparable(run: Mapping[str, Any], mark: str) -> dict[str, Any]:
    facts = {key: run[key] for key in ("outcome", "code_version", "rows_in", "quarantined", "duplicates")}
    facts |= {key: run[key] for key in ("training_rows", "holdout_rows")}
    facts["holdout"] = short(holdout_of(run))
    facts |= {f"file {file['name']}": f"{file['rows']:,} rows, {short(file['sha256'])}" for file in run["files"] or []}
    facts |= flat("parameter", run["parameters"])
    for model in run["models"]:
        facts |= flat(f"{model['name']} parameter", model["parameters"] or {})
        overall = flat(model["name"], (model["metrics"] or {}).get("overall", {}))
        facts |= {f"{place}{mark}": value for place, value in overall.items()}
    return facts


def short(content_hash: str | None) -> str | None:
    """As much of a hash as people read."""
    return content_hash[:12] if content_hash else None


def flat(place: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON is anything
    """The leaves of nested parameters, by their path."""
    if not isinstance(value, dict):
        return {place: value}
    return {path: leaf for key in sorted(value) for path, leaf in flat(f"{place} {key}", value[key]).items()}


def _with_models(session: Session, found: Sequence[TrainingRun]) -> list[dict[str, Any]]:
    ids = [each.id for each in found]
    models = session.scalars(select(TrainedModel).where(TrainedModel.run_id.in_(ids))).all()
    promoted = {
        (entry.to_model, entry.to_version)
        for entry in session.scalars(select(Promotion).where(Promotion.to_version.in_(ids)))
    }
    by_run: dict[str, list[dict[str, Any]]] = {run_id: [] for run_id in ids}
    for model in sorted(models, key=_mae):
        by_run[model.run_id].append(_columns(model) | {"promoted": (model.name, model.version) in promoted})
    return [_columns(each) | {"models": by_run[each.id]} for each in found]


def _mark_interrupted(engine: Engine) -> None:
    with Session(engine) as session:
        running = session.scalars(select(TrainingRun).where(TrainingRun.outcome == RUNNING)).all()
        dead = [each.id for each in running if not _is_alive(each.process)]
    for run_id in dead:
        update_run(engine, run_id, outcome=INTERRUPTED, error="the process ended before the run did")


def _mae(model: TrainedModel) -> float:
    return float(((model.metrics or {}).get("overall") or {}).get("mae", float("inf")))


def _columns(row: TrainingRun | TrainedModel | Promotion) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in type(row).__table__.columns}


def _this_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _is_alive(process: str) -> bool:
    """Whether the process still runs; one of another machine is taken to."""
    host, _, pid = process.rpartition(":")
    if host != socket.gethostname():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
