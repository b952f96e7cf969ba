"""The command `diamonds`, for everything that is neither `kedro` nor `bentoml`."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table
from sqlalchemy import Engine

from diamonds.cli import feed, retrain, sales, stream, traffic
from diamonds.cli.speech import as_json, console, database, plainly, print_json
from diamonds.config import read_settings
from diamonds.errors import DiamondsError, NoSuchModelError
from diamonds.store import history as memory
from diamonds.store.database import migrate as bring_up_to_date
from diamonds.store.database import open_database

METRICS = {
    "mae": "MAE", "rmse": "RMSE", "r2": "R²", "mape": "MAPE", "bias": "bias", "coverage": "coverage", "width": "width",
}  # fmt: skip
METRIC_NAMES = tuple(METRICS)
NOT_COMPARABLE = "errors of different holdouts are not comparable"


# Kedro looks for this name in a project's `cli` module: `kedro history` is `diamonds history`.
@click.group()
@click.version_option(package_name="diamonds")
def cli() -> None:
    """What the project remembers, and how to steer it."""


cli.add_command(traffic.traffic)
cli.add_command(feed.feed)
cli.add_command(stream.stream)
cli.add_command(retrain.retrain)
cli.add_command(sales.sales)


@cli.group(invoke_without_command=True)
@click.option("--model", help="Only this model.")
@click.option("--metric", type=click.Choice(METRIC_NAMES), help="Only this metric.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many runs.")
@as_json
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, a row for each model of each run.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown, a table for each run.")
@click.pass_context
@plainly
def history(
    context: click.Context, model: str | None, metric: str | None, limit: int, as_json: bool, as_csv: bool,
    as_markdown: bool,
) -> None:  # fmt: skip
    """Every run, and every model it trained with its metrics."""
    if context.invoked_subcommand is not None:
        return
    runs = _narrowed(memory.runs(database(), limit), model)
    if model and not any(run["models"] for run in runs):
        raise NoSuchModelError(f"none of the latest {limit} runs has a model {model}")
    shown = (metric,) if metric else METRIC_NAMES
    if as_json:
        print_json(runs)
    elif as_csv:
        _print_csv(runs, shown)
    elif as_markdown:
        _print_markdown(runs, shown)
    elif runs:
        _print_runs(runs, shown)
    else:
        click.echo("No run yet: `kedro run` makes the first.")


@history.command()
@click.argument("first")
@click.argument("second")
@as_json
@plainly
def compare(first: str, second: str, as_json: bool) -> None:
    """What differs between two runs: data, code, parameters, holdout and metrics."""
    engine = database()
    runs = [memory.run(engine, run_id) for run_id in (first, second)]
    differences = memory.differences(*runs)
    if as_json:
        print_json(differences)
        return
    if not differences:
        click.echo("The two runs are alike.")
        return
    table = Table("", first, second, box=None, padding=(0, 2))
    for place, (before, after) in differences.items():
        table.add_row(escape(place), *(escape(_plain_value(value)) for value in (before, after)))
    out = console()
    out.print(table)
    if not memory.same_holdout(runs):
        out.print(f"The holdouts differ or are not known: {NOT_COMPARABLE}.", highlight=False)


@history.command()
@click.option("--model", help="Only this model.")
@click.option("--metric", type=click.Choice(METRIC_NAMES), help="Only this metric.")
@click.option("--limit", type=click.IntRange(min=1), help="How many runs, the newest; by default all.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("data/08_reporting/history.html"),
    show_default=True,
    help="The file to write.",
)
@plainly
def plot(model: str | None, metric: str | None, limit: int | None, output: Path) -> None:
    """Draw the metrics run by run, in one HTML file that needs no network, and print its path."""
    from diamonds.pipelines.reporting import history_figure

    runs = _narrowed(memory.runs(database(), limit), model)
    if not any(each["metrics"] for run in runs for each in run["models"]):
        raise NoSuchModelError(f"nothing to draw: no run judged {f'a model {model}' if model else 'any model'}")
    figure = history_figure.draw(runs, (metric,) if metric else history_figure.METRICS)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        figure.write_html(output)
    except OSError as error:
        raise DiamondsError(f"{output} cannot be written: {error.strerror}") from error
    click.echo(output)


@cli.group(invoke_without_command=True)
@as_json
@click.pass_context
@plainly
def champion(context: click.Context, as_json: bool) -> None:
    """The model that serves, since when and why; exit status 1 if there is none."""
    if context.invoked_subcommand is None:
        _show_champion(as_json=as_json)


@champion.command("set")
@click.argument("model")
@click.argument("version")
@click.option("--reason", required=True, help="Why, for the history.")
@plainly
def set_champion(model: str, version: str, reason: str) -> None:
    """Make a model of an earlier run the champion, by hand."""
    _promote(database(), model, version, reason)


@cli.command()
@click.argument("version")
@click.option("--reason", default="rolled back by hand", show_default=True, help="Why, for the history.")
@plainly
def rollback(version: str, reason: str) -> None:
    """Put the earlier champion of this version back, as a new entry."""
    engine = database()
    former = memory.former_champions(engine)
    names = [name for name, its_version in former if its_version == version]
    if not names:
        known = ", ".join(its_version for _, its_version in former) or "none"
        raise NoSuchModelError(f"no earlier champion has the version {version}; earlier champions: {known}")
    _promote(engine, names[0], version, reason)


def _promote(engine: Engine, model: str, version: str, reason: str) -> None:
    from diamonds.datasets import BentoModelDataset
    from diamonds.datasets.champion import promote_by_hand

    promoted = promote_by_hand(engine, Path.cwd(), model, version, reason)
    try:
        BentoModelDataset(name="diamonds").save(promoted)
    except OSError as error:
        raise DiamondsError(
            f"{model} {version} is champion in the database, but the Bento model store was not written: {error};"
            " `kedro run --nodes=packaging.package` does what is left"
        ) from error
    click.echo(f"{model} {version} is champion: {reason}.")


def _show_champion(*, as_json: bool) -> None:
    found = memory.champion(database())
    if found is None:
        raise DiamondsError("no champion yet: `kedro run` trains and chooses one")
    if as_json:
        print_json(asdict(found))
        return
    table = Table(show_header=False, box=None)
    for label, value in {
        "model": found.name,
        "version": found.version,
        "champion since": f"{found.promoted_at:%Y-%m-%d %H:%M:%S} UTC",
        "because": found.reason,
        **{name: _metric(name, value) for name, value in found.metrics.get("overall", {}).items()},
        "files": found.artefact,
    }.items():
        table.add_row(f"[dim]{label}[/dim]", escape(value))
    console().print(table)


@cli.command()
@click.argument("model")
@click.option("--trials", type=click.IntRange(min=1), required=True, help="How many further sets of parameters.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Seconds after which no trial begins.")
@click.option("--n-jobs", type=click.IntRange(min=1), help="Threads of a trial; one each, where several searches run.")
@as_json
@plainly
def tune(model: str, trials: int, timeout: float | None, n_jobs: int | None, as_json: bool) -> None:
    """Search for better parameters of a model, from the CSVs that are there.

    The next `kedro run` starts from what is found. Started twice, the two share the work. Ctrl-C keeps what was found.
    """
    found = _run_search(model, {"trials": trials, "timeout": timeout}, {"n_jobs": n_jobs} if n_jobs else {})
    if as_json:
        print_json(found)
        return
    ended = [trial for trial in found["trials"] if trial["state"] in {"COMPLETE", "PRUNED"}]
    click.echo(
        f"{model}: ${found['cross_validated_mae']:,.2f} is the best cross-validated MAE of {len(ended)} trials, by"
    )
    for name, value in found["params"].items():
        click.echo(f"  {name}: {_plain_value(value)}")


def _run_search(model: str, tuning: dict[str, Any], entry: dict[str, Any]) -> dict[str, Any]:
    """Run the pipelines up to the model's search, with these parameters instead of the configured ones."""
    from diamonds import models

    if not models.is_tuned(models.get(model)):
        raise NoSuchModelError(f"{model} has no search space: src/diamonds/models/{model}.py declares no `suggest`")
    if not (Path.cwd() / "conf").is_dir():
        raise DiamondsError(f"there is no project in {Path.cwd()}: run this where `kedro run` is run")
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    from diamonds.hooks import plain_parameters

    bootstrap_project(Path.cwd())
    known = plain_parameters(KedroSession.create(Path.cwd()).load_context().params)
    # Kedro puts parameters given here in place of the configured ones as a whole, so they are given whole.
    given = {
        "tuning": known["tuning"] | tuning,
        "models": known["models"] | {model: (known["models"].get(model) or {}) | entry},
    }
    session = KedroSession.create(Path.cwd(), runtime_params=given)
    with session:
        outputs = session.run(to_nodes=[f"{model}.tune"])
    found: dict[str, Any] = outputs[f"{model}_params"].load()
    return found


@cli.command()
@plainly
def migrate() -> None:
    """Bring the database's tables up to date."""
    before, now = bring_up_to_date(open_database(read_settings()))
    click.echo(
        f"The tables are at revision {now}." if before == now else f"Migrated from {before or 'nothing'} to {now}."
    )


def _narrowed(runs: list[dict[str, Any]], model: str | None) -> list[dict[str, Any]]:
    """The runs with only this model, where one is named."""
    if model is None:
        return runs
    return [run | {"models": [each for each in run["models"] if each["name"] == model]} for run in runs]


def _summary(run: dict[str, Any], *, with_holdout: bool) -> str:
    """What became of a run, in a line or two."""
    facts = [run["outcome"]]
    if run["rows_in"] is not None:
        facts.append(f"{run['rows_in']:,} rows, {run['quarantined']:,} quarantined")
    facts += [f"{option.replace('_', ' ')} {_chosen(chosen)}" for option, chosen in run["selection"].items() if chosen]
    if with_holdout:
        facts.append(f"holdout {memory.short(memory.holdout_of(run)) or 'not known'}")
    note = (run["error"] or run["decision"] or "").strip()
    return ", ".join(facts) + (f"\n  {note}" if note else "")


def _chosen(chosen: Any) -> str:  # noqa: ANN401 - a name, names, or versions by name
    if isinstance(chosen, dict):
        return " ".join(f"{name}:{version}" for name, version in chosen.items())
    return chosen if isinstance(chosen, str) else " ".join(chosen)


def _print_runs(runs: list[dict[str, Any]], metrics: Sequence[str]) -> None:
    out = console()
    differ = not memory.same_holdout(runs)
    for run in runs:
        out.print(f"[bold]{run['id']}[/bold] {escape(_summary(run, with_holdout=differ))}", highlight=False)
        if run["models"]:
            out.print(_models_table(run["models"], metrics))
    if differ:
        out.print(f"The holdouts differ or are not known: {NOT_COMPARABLE}.")


def _print_csv(runs: list[dict[str, Any]], metrics: Sequence[str]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["run", "started_at", "outcome", "model", *metrics, "promoted", "error", "holdout"])
    for run in runs:
        for model in run["models"]:
            overall = (model["metrics"] or {}).get("overall", {})
            facts = [run["id"], run["started_at"].isoformat(), run["outcome"], model["name"]]
            values = [overall.get(name) for name in metrics]
            writer.writerow([*facts, *values, model["promoted"], model["error"], model["holdout"]])


def _print_markdown(runs: list[dict[str, Any]], metrics: Sequence[str]) -> None:
    differ = not memory.same_holdout(runs)
    for run in runs:
        click.echo(f"**{run['id']}** {_summary(run, with_holdout=differ)}\n")
        if run["models"]:
            head = ["model", *(METRICS[name] for name in metrics), ""]
            for row in (
                head,
                ["---", *(["--:"] * len(metrics)), "---"],
                *(_cells(each, metrics) for each in run["models"]),
            ):
                click.echo(f"| {' | '.join(' '.join(cell.replace('|', '&#124;').split()) for cell in row)} |")
            click.echo()
    if differ:
        click.echo(f"The holdouts differ or are not known: {NOT_COMPARABLE}.")


def _models_table(models: list[dict[str, Any]], metrics: Sequence[str]) -> Table:
    table = Table("model", *(METRICS[name] for name in metrics), "", box=None, padding=(0, 2))
    for model in models:
        table.add_row(*map(escape, _cells(model, metrics)))
    return table


def _cells(model: dict[str, Any], metrics: Sequence[str]) -> list[str]:
    """A model's row: its name, its metrics, and what became of it."""
    overall = (model["metrics"] or {}).get("overall", {})
    remark = f"failed: {model['error']}" if model["error"] else "became champion" if model["promoted"] else ""
    return [model["name"], *(_metric(name, overall[name]) if name in overall else "" for name in metrics), remark]


def _plain_value(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _metric(name: str, value: float) -> str:
    if name in {"mae", "rmse", "bias"}:
        return f"${value:,.2f}" if value >= 0 else f"-${-value:,.2f}"
    return f"{value:.4f}" if name == "r2" else f"{value:.2%}"
