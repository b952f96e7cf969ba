"""`diamonds retrain`: the pipelines, for whoever starts them by the clock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from diamonds.cli.speech import as_json, database, plainly, print_json
from diamonds.lock import held
from diamonds.retraining import Decision, by_verdict, by_what_is_fresh, open_project
from diamonds.retraining import retrain as run_pipelines
from diamonds.store import history

LOCK = Path("data/retrain.lock")


@click.command()
@click.option("--if-fresh", is_flag=True, help="Only if a file, parameter or code has changed since the last run.")
@click.option("--if-drift", is_flag=True, help="Only if monitoring's newest verdict says so; or, with both, either.")
@click.option("--wait", is_flag=True, help="Wait for a retraining that is running, and decide then.")
@as_json
@plainly
def retrain(if_fresh: bool, if_drift: bool, wait: bool, as_json: bool) -> None:
    """Run all pipelines, from the CSVs to a champion, one at a time."""
    open_project(Path.cwd())
    with held(Path.cwd() / LOCK, "another retraining", wait=_tell if wait else None):
        decision = _decide(if_fresh, if_drift)
        if not as_json:
            click.echo(_words(decision))
        run_id = run_pipelines(Path.cwd()) if decision.reasons else None
    run = history.run(database(), run_id) if run_id else None
    if as_json:
        print_json({"reasons": decision.reasons, "against": decision.against, "run": run})
    elif run:
        click.echo(f"{run['id']}: {run['decision']}.")


def _decide(if_fresh: bool, if_drift: bool) -> Decision:
    asked: list[Callable[..., Decision]] = [by_what_is_fresh] * if_fresh + [by_verdict] * if_drift
    if not asked:
        return Decision(["it was asked for"])
    decision, engine = Decision([]), database()
    for by in asked:
        decision |= by(Path.cwd(), engine)
    engine.dispose()
    return decision


def _words(decision: Decision) -> str:
    if decision.reasons:
        return f"Retraining: {'; '.join(decision.reasons)}."
    return f"Nothing to do: {'; '.join(decision.against)}."


def _tell(busy: str) -> None:
    click.echo(f"{busy[0].upper()}{busy[1:]}: waiting for it.", err=True)
