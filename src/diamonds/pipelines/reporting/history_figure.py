"""The figure of the history: each metric of each model, run by run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go
from plotly.colors import qualitative
from plotly.subplots import make_subplots

from diamonds.store.history import short


@dataclass(frozen=True)
class Panel:
    """How a metric is drawn: its name and unit, the scale of its axis, and how d3 writes ticks and values."""

    name: str
    unit: str
    scale: str
    ticks: str
    value: str

    @property
    def title(self) -> str:
        """What stands above the panel."""
        return f"{self.name}{self.unit and f', {self.unit}'}{' (log)' if self.scale == 'log' else ''}"


PANELS = {
    "mae": Panel("MAE", "USD", "log", "$,.6~r", "$,.2f"),
    "rmse": Panel("RMSE", "USD", "log", "$,.6~r", "$,.2f"),
    "mape": Panel("MAPE", "% of the price", "log", ".4~p", ".2%"),
    "r2": Panel("R²", "", "linear", ".4~r", ".4f"),
    "coverage": Panel("Coverage", "% of stones", "linear", ".4~p", ".2%"),
    "width": Panel("Band width", "% of its middle", "log", ".4~p", ".2%"),
    "bias": Panel("Bias", "USD", "linear", "$,.6~r", "$,.2f"),
}
#: What is drawn unless one is asked for.
METRICS = ("mae", "rmse", "mape", "r2", "coverage", "width")
COLUMNS = 3
COLORS = qualitative.D3
GRAY = "#6b7280"
DOT = {"size": 7, "line": {"color": "white", "width": 1}}
STAR = DOT | {"symbol": "star", "size": 15}
DOTTED = {"color": GRAY, "width": 1, "dash": "dot"}
#: The group of the dotted verticals in the legend; a model's name holds no space.
RULES = "another holdout"
#: A logarithmic axis has ticks at 1, 2, 5, 10, … from this ratio of its ends on; below, Plotly finds better ones.
WIDE = 4
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Point:
    """A model as one run judged it; `began` is in UTC without saying so, as Plotly's axes want it."""

    run: str
    began: datetime
    holdout: str | None
    metrics: dict[str, float]
    promoted: bool


Models = dict[str, list[Point]]


def draw(runs: Iterable[dict[str, Any]], metrics: Sequence[str] = METRICS) -> go.Figure:
    """Each metric in a panel of its own: a line a model, over the moments at which the runs began.

    Errors of different holdouts are not comparable: a line is broken, at a dotted vertical, where the holdout is
    another one or is not known. A star marks the run whose model became champion. Without any judged model the
    panels are empty.

    Args:
        runs: As `store.history.runs` gives them.
        metrics: Of `PANELS`.
    """
    models = _points(runs)
    changes = _changes([point for points in models.values() for point in points])
    columns = min(COLUMNS, len(metrics))
    figure = make_subplots(
        rows=-(-len(metrics) // columns),
        cols=columns,
        shared_xaxes="all",
        subplot_titles=[PANELS[metric].title for metric in metrics],
        horizontal_spacing=0.08,
        vertical_spacing=0.12,
    )
    for place, metric in enumerate(metrics):
        row, column = divmod(place, columns)
        for trace in [*_rules(models, changes, metric), *_lines(models, metric)]:
            figure.add_trace(trace, row=row + 1, col=column + 1)
        figure.update_yaxes(**_axis(models, metric), row=row + 1, col=column + 1)
    figure.add_traces([*_keys(models, changes)])
    figure.update_xaxes(**_time(models))
    figure.update_annotations(font_size=13)
    return figure.update_layout(
        template="plotly_white",
        title={"text": _title(models, changes), "x": 0.01, "xanchor": "left", "y": 0.97, "yanchor": "top"},
        hovermode="closest",
        margin={"l": 60, "r": 20, "t": 90, "b": 50},
    )


def _points(runs: Iterable[dict[str, Any]]) -> Models:
    """The points of each model that any run judged, the oldest first; models by name."""
    found: dict[str, list[Point]] = {}
    for run in sorted(runs, key=lambda run: run["started_at"]):
        began = run["started_at"].astimezone(UTC).replace(tzinfo=None)
        for model in run["models"]:
            if overall := (model["metrics"] or {}).get("overall"):
                point = Point(run["id"], began, model["holdout"], overall, model["promoted"])
                found.setdefault(model["name"], []).append(point)
    return dict(sorted(found.items()))


def _alike(before: Point, after: Point) -> bool:
    return before.holdout is not None and before.holdout == after.holdout


def _changes(points: Iterable[Point]) -> list[datetime]:
    """The moments, halfway between two runs, at which the holdout becomes another one."""
    by_run = sorted({point.run: point for point in points}.values(), key=lambda point: point.began)
    return [
        before.began + (after.began - before.began) / 2
        for before, after in pairwise(by_run)
        if not _alike(before, after)
    ]


def _values(models: Models, metric: str) -> list[float]:
    return [point.metrics[metric] for points in models.values() for point in points if metric in point.metrics]


def _rules(models: Models, changes: Sequence[datetime], metric: str) -> Iterator[go.Scatter]:
    """The dotted verticals, as high as the values."""
    values = _values(models, metric)
    if changes and values:
        ends = [min(values), max(values), None]
        yield go.Scatter(
            x=[x for change in changes for x in (change, change, None)],
            y=ends * len(changes),
            mode="lines",
            line=DOTTED,
            hoverinfo="skip",
            legendgroup=RULES,
            showlegend=False,
        )


def _lines(models: Models, metric: str) -> Iterator[go.Scatter]:
    """The line of each model, and the stars on it."""
    for number, (model, points) in enumerate(models.items()):
        color = _color(number)
        promoted = [point for point in points if point.promoted]
        yield _trace(model, _broken(points), metric, mode="lines+markers", line={"color": color}, marker=DOT)
        yield _trace(model, promoted, metric, mode="markers", marker=STAR | {"color": color})


def _broken(points: Sequence[Point]) -> list[Point | None]:
    """The points of a line, and None between two that are not known to have the same holdout."""
    line: list[Point | None] = [*points[:1]]
    for before, after in pairwise(points):
        line += [after] if _alike(before, after) else [None, after]
    return line


def _trace(model: str, points: Sequence[Point | None], metric: str, **look: Any) -> go.Scatter:  # noqa: ANN401 - Plotly's
    panel = PANELS[metric]
    return go.Scatter(
        x=[point and point.began for point in points],
        y=[point and point.metrics.get(metric) for point in points],
        customdata=[point and _told(point) for point in points],
        hovertemplate=f"<b>{model}</b> {panel.name} %{{y:{panel.value}}}<br>%{{customdata}}<extra></extra>",
        legendgroup=model,
        showlegend=False,
        **look,
    )


def _told(point: Point) -> str:
    """What hovering over a point says besides its value."""
    facts = [f"run {point.run}", f"holdout {short(point.holdout) or 'not known'}"]
    return "<br>".join([*facts, "became champion"] if point.promoted else facts)


def _axis(models: Models, metric: str) -> dict[str, Any]:
    panel, values = PANELS[metric], [value for value in _values(models, metric) if value > 0]
    axis = {"type": panel.scale, "tickformat": panel.ticks, "nticks": 7}
    if panel.scale == "log" and values and max(values) >= WIDE * min(values):
        return axis | {"tickvals": [digit * 10.0**power for power in range(-4, 9) for digit in (1, 2, 5)]}
    return axis


def _time(models: Models) -> dict[str, Any]:
    """The axis of time; a single moment stands in the middle of two days, for which Plotly has no rule."""
    axis = {"type": "date", "nticks": 4, "tickangle": 0}
    moments = {point.began for points in models.values() for point in points}
    if len(moments) != 1:
        return axis
    (moment,) = moments
    return axis | {"tickvals": [moment], "tickformat": "%H:%M\n%b %-d, %Y", "range": [moment - DAY, moment + DAY]}


def _keys(models: Models, changes: Sequence[datetime]) -> Iterator[go.Scatter]:
    """What the legend names: traces without points."""
    for number, model in enumerate(models):
        yield _key(model, legendgroup=model, mode="lines+markers", line={"color": _color(number)}, marker=DOT)
    yield _key("became champion", mode="markers", marker=STAR | {"color": GRAY})
    if changes:
        yield _key(RULES, legendgroup=RULES, mode="lines", line=DOTTED)


def _key(name: str, **look: Any) -> go.Scatter:  # noqa: ANN401 - Plotly's
    return go.Scatter(x=[None], y=[None], name=name, **look)


def _color(number: int) -> str:
    return str(COLORS[number % len(COLORS)])


def _title(models: Models, changes: Sequence[datetime]) -> str:
    if not models:
        return "The history of models: no run has judged one yet"
    said = "Each run stands at the moment it began, in UTC."
    if changes:
        said += " Lines end where the holdout changed or is not known: errors of different holdouts are not comparable."
    return f"<b>The history of models</b><br><span style='font-size:12px'>{said}</span>"
