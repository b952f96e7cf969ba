"""The figure of a report: how far each feature has moved, and the error of the quotes day by day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time, timedelta

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from diamonds.drift import FeatureDrift, Report

BLUE, RED, GRAY = "#1f77b4", "#d62728", "#6b7280"
MILLISECONDS, MOST_TICKS = 86_400_000, 8
HALF_A_DAY = timedelta(hours=12)
DOTTED = {"color": GRAY, "width": 1, "dash": "dot"}


def draw(report: Report, psi: float) -> go.Figure:
    """The population stability index of each feature beside the one that counts; below, the live error where any sold.

    Args:
        report: What was found out.
        psi: From which index on a feature may have moved.
    """
    sold = bool(report.sales.days)
    titles = ["Population stability index of each feature", "Mean error of the quotes, % of the price paid"]
    figure = make_subplots(rows=1 + sold, cols=1, subplot_titles=titles[: 1 + sold], vertical_spacing=0.2)
    for trace in _features(report.features, psi):
        figure.add_trace(trace, row=1, col=1)
    if sold:
        for trace in _days(report):
            figure.add_trace(trace, row=2, col=1)
        figure.update_yaxes(tickformat=".1%", rangemode="tozero", row=2, col=1)
        figure.update_xaxes(type="date", tickformat="%b %-d", dtick=_apart(report) * MILLISECONDS, row=2, col=1)
    figure.update_yaxes(rangemode="tozero", row=1, col=1)
    return figure.update_layout(
        template="plotly_white",
        title={"text": f"<b>Retrain: {report.retrain}</b>", "x": 0.01, "xanchor": "left"},
        showlegend=False,
        margin={"l": 60, "r": 20, "t": 90, "b": 50},
    )


def _features(features: dict[str, FeatureDrift], psi: float) -> Iterator[go.Bar | go.Scatter]:
    names = list(features)
    yield go.Bar(
        x=names,
        y=[its.psi for its in features.values()],
        marker={"color": [RED if its.moved else BLUE for its in features.values()]},
        customdata=[_told(its) for its in features.values()],
        hovertemplate="<b>%{x}</b> %{y:.3f}<br>%{customdata}<extra></extra>",
        name="index",
    )
    yield go.Scatter(x=names, y=[psi] * len(names), mode="lines", line=DOTTED, hoverinfo="skip", name="may have moved")


def _told(its: FeatureDrift) -> str:
    """What hovering over a bar says besides its value."""
    middle = "most often" if its.test == "chi2" else "median"
    return f"{middle} {_short(its.before)} in the training, now {_short(its.now)}<br>{its.stones:,} stones"


def _short(value: float | str | None) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _days(report: Report) -> Iterator[go.Scatter]:
    days = report.sales.days
    yield go.Scatter(
        x=[each.day.isoformat() for each in days],
        y=[each.mape for each in days],
        customdata=[each.sold for each in days],
        mode="lines+markers",
        line={"color": BLUE},
        hovertemplate="%{x}: %{y:.1%} of %{customdata:,} sales<extra></extra>",
        name="live",
    )
    if "mape" in report.sales.holdout:
        first, last = (datetime.combine(each.day, time()) for each in (days[0], days[-1]))
        ends = [(first - HALF_A_DAY).isoformat(), (last + HALF_A_DAY).isoformat()]
        expected = [report.sales.holdout["mape"]] * 2
        yield go.Scatter(
            x=ends,
            y=expected,
            mode="lines",
            line=DOTTED,
            hovertemplate="holdout: %{y:.1%}<extra></extra>",
            name="holdout",
        )


def _apart(report: Report) -> int:
    """How many days are between two ticks."""
    days = report.sales.days
    return 1 + (days[-1].day - days[0].day).days // MOST_TICKS
