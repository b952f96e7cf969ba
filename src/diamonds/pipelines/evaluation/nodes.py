"""Judging pricers on stones that none of them has learned from."""

from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go
from pydantic import BaseModel, Field

from diamonds.datasets.champion import CurrentChampion
from diamonds.metrics import band_quality, errors, segments
from diamonds.pricer import Pricer

#: More points than this make a figure slow to open and no clearer.
MOST_POINTS = 3000
LOG_DOLLARS = {"type": "log", "tickvals": [200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000], "tickformat": "$,d"}


class Promotion(BaseModel, extra="forbid"):
    """When a challenger becomes champion.

    Attributes:
        metric: The error on the holdout that decides; less is better.
        min_gain: By how much it must be less than the champion's, as a fraction of that.
    """

    metric: Literal["mae", "rmse", "mape"]
    min_gain: float = Field(ge=0, lt=1)


def evaluate(pricer: Pricer, holdout: pd.DataFrame) -> dict[str, Any]:
    """The errors of a pricer and the quality of its band: overall, and by carat band, cut, color and clarity."""
    quoted = pricer.price(holdout)
    by_segment: dict[str, dict[str, Any]] = {}
    for kind, name, members in segments(holdout):
        by_segment.setdefault(kind, {})[name] = {"stones": int(members.sum())} | _quality(
            holdout[members], quoted[members]
        )
    return {
        "model": pricer.name,
        "version": pricer.version,
        "stones": len(holdout),
        "overall": _quality(holdout, quoted),
        "segments": by_segment,
    }


def rank(promotion: Promotion, *metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """The models of this run, the best first."""
    rows = [{"model": each["model"], "version": each["version"], **each["overall"]} for each in metrics]
    return sorted(rows, key=lambda row: float(row[promotion.metric]))


def judge(
    leaderboard: list[dict[str, Any]],
    holdout: pd.DataFrame,
    champion: CurrentChampion | None,
    promotion: Promotion,
) -> dict[str, Any]:
    """Decide whether the best of this run replaces the champion, both judged on the same holdout.

    Returns:
        `promote`, the challenger's `model` and `version`, both errors, the `reason` in one sentence, and the
        entry of the champion it was judged against.
    """
    best = leaderboard[0]
    error = best[promotion.metric]
    decision = {
        "model": best["model"],
        "version": best["version"],
        "metric": promotion.metric,
        "challenger": error,
        "champion": None,
        "previous_id": champion.entry.promotion_id if champion else 0,
    }
    name = f"{best['model']} with {_shown(promotion.metric, error)}"
    if champion is None:
        return decision | {"promote": True, "reason": f"{name} is the first champion"}
    if champion.pricer is None:
        return decision | {
            "promote": True,
            "reason": f"{name} takes over: the champion cannot be loaded, {champion.problem}",
        }
    standing = errors(holdout["price"], champion.pricer.price(holdout)["price"])[promotion.metric]
    gain = 1 - error / standing if standing else 0.0
    promote = gain > promotion.min_gain
    verdict = "beats" if promote else "does not beat"
    reason = (
        f"{name} {verdict} the champion {champion.pricer.name} with {_shown(promotion.metric, standing)}"
        f" on the same {len(holdout):,} stones: {gain:+.2%}, more than {promotion.min_gain:.2%} is asked for"
    )
    return decision | {"promote": promote, "champion": standing, "reason": reason}


def plot_actual_against_predicted(pricer: Pricer, holdout: pd.DataFrame) -> go.Figure:
    """Predicted against actual prices of holdout stones, on logarithmic axes."""
    shown = holdout.sample(min(MOST_POINTS, len(holdout)), random_state=0)
    predicted = pricer.price(shown)["price"]
    texts = [f"{carat:g} ct {cut}, {color}, {clarity}" for carat, cut, color, clarity in
             zip(shown["carat"], shown["cut"], shown["color"], shown["clarity"], strict=True)]  # fmt: skip
    ends = [float(shown["price"].min()), float(shown["price"].max())]
    figure = go.Figure(
        [
            go.Scattergl(
                x=shown["price"],
                y=predicted,
                text=texts,
                mode="markers",
                marker={"size": 4, "opacity": 0.35},
                name=pricer.name,
            ),
            go.Scatter(
                x=ends,
                y=ends,
                mode="lines",
                line={"dash": "dot", "color": "gray"},
                name="as it should be",
            ),
        ]
    )
    figure.update_layout(
        title=f"{pricer.name}: predicted against actual price of {len(shown):,} holdout stones",
        xaxis={"title": "actual price, USD", **LOG_DOLLARS},
        yaxis={"title": "predicted price, USD", **LOG_DOLLARS},
    )
    return figure


def plot_leaderboard(leaderboard: list[dict[str, Any]], promotion: Promotion) -> go.Figure:
    """The models' errors as bars, the best on top."""
    worst_first = leaderboard[::-1]
    values = [row[promotion.metric] for row in worst_first]
    figure = go.Figure(
        go.Bar(
            x=values,
            y=[row["model"] for row in worst_first],
            text=[_shown(promotion.metric, value) for value in values],
            orientation="h",
            textposition="outside",
            cliponaxis=False,
        )
    )
    figure.update_layout(
        title="Leaderboard: error on the holdout, less is better",
        xaxis={"title": _axis(promotion.metric)},
    )
    return figure


def _quality(stones: pd.DataFrame, quoted: pd.DataFrame) -> dict[str, float]:
    return errors(stones["price"], quoted["price"]) | band_quality(stones["price"], quoted["low"], quoted["high"])


def _shown(metric: str, value: float) -> str:
    return f"{metric.upper()} {value:.2%}" if metric == "mape" else f"{metric.upper()} ${value:,.2f}"


def _axis(metric: str) -> str:
    return "MAPE, share of the price" if metric == "mape" else f"{metric.upper()}, USD"
