"""What runs left on this machine: figures that `kedro viz` shows too, refused rows, and reports on the champion."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pydantic import ValidationError

from diamonds.drift import Report

#: What may be part of a path: neither a separator nor a name that leads upwards.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
#: How many refused rows are shown.
MOST_ROWS = 50
#: In characters: more of a reason is not shown.
MOST_OF_A_REASON = 300


@dataclass(frozen=True)
class Figure:
    """A figure that a run may draw of each model."""

    name: str
    title: str
    caption: str


FIGURES = {
    figure.name: figure
    for figure in (
        Figure(
            "actual_against_predicted",
            "Predicted against actual price",
            "Each point is a stone of the holdout, in US dollars on logarithmic axes. On the dotted line the price is"
            " exactly right; above it, the stone is priced too high.",
        ),
        Figure(
            "importances",
            "What matters",
            "By how many percent each feature moves a price up or down, on average over stones of the holdout.",
        ),
        Figure(
            "search_history",
            "The search for parameters",
            "Each point is a set of parameters that was tried, with its cross-validated mean error in US dollars; the"
            " line is the best so far.",
        ),
        Figure(
            "search_importances",
            "Which parameters matter",
            "Which share of the differences in error between the trials each parameter explains.",
        ),
        Figure(
            "search_parallel_coordinates",
            "Each trial's parameters",
            "A line a trial, through its cross-validated mean error in US dollars and its parameters; the best one is"
            " blue.",
        ),
    )
}


@dataclass(frozen=True)
class RefusedRow:
    """A row that was quarantined: where it stands, and why."""

    file: str
    line: str
    reason: str


@dataclass(frozen=True)
class Watched:
    """The newest report on the champion: the run that left it, what it says, and whether its figure is there too."""

    run_id: str
    report: Report
    is_drawn: bool


def figure_file(data: Path, run_id: str, model: str, figure: str) -> Path | None:
    """The file of a figure; None where it is not on this machine, or is none of `FIGURES`.

    Args:
        data: The project's folder of data.
        run_id: The version of the model.
        model: Its name.
        figure: Which of its figures.
    """
    if figure not in FIGURES or not NAME.fullmatch(run_id) or not NAME.fullmatch(model):
        return None
    name = f"{model}_{figure}.json"
    place = data / "08_reporting" / name / run_id / name
    return place if place.is_file() else None


def figures(data: Path, run_id: str, model: str) -> list[Figure]:
    """The figures of a model that are on this machine."""
    return [figure for name, figure in FIGURES.items() if figure_file(data, run_id, model, name)]


def watched(data: Path) -> Watched | None:
    """The newest report on a champion; None where none is on this machine, or it cannot be read."""
    reports = (data / "08_reporting/monitoring_report.json").glob("*/monitoring_report.json")
    newest = max(reports, default=None)
    if newest is None or not NAME.fullmatch(newest.parent.name):
        return None
    try:
        report = Report.model_validate_json(newest.read_bytes())
    except (OSError, ValidationError):
        return None
    run_id = newest.parent.name
    return Watched(run_id, report, watched_file(data, run_id) is not None)


def watched_file(data: Path, run_id: str) -> Path | None:
    """The file of the figure of a report; None where it is not on this machine."""
    if not NAME.fullmatch(run_id):
        return None
    place = data / "08_reporting/monitoring_plot.json" / run_id / "monitoring_plot.json"
    return place if place.is_file() else None


def quarantined(data: Path, run_id: str) -> list[RefusedRow] | None:
    """The first rows that a run refused; None where they are not on this machine, or cannot be read."""
    if not NAME.fullmatch(run_id):
        return None
    place = data / "02_intermediate/quarantine.csv" / run_id / "quarantine.csv"
    try:
        with place.open(newline="", encoding="utf-8") as rows:
            return [_refused(row) for row in islice(csv.DictReader(rows), MOST_ROWS)]
    except (OSError, UnicodeDecodeError, csv.Error):
        return None


def _refused(row: dict[str, str | None]) -> RefusedRow:
    file, line, reason = (row.get(name) or "" for name in ("file", "line", "reason"))
    return RefusedRow(file, line, reason if len(reason) <= MOST_OF_A_REASON else f"{reason[:MOST_OF_A_REASON]}…")
