"""Whether the champion is still right for what is asked and paid."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from diamonds import drift
from diamonds.datasets.champion import CurrentChampion
from diamonds.datasets.sales import SalesWindow
from diamonds.datasets.traffic import TrafficWindow
from diamonds.drift import Report, Rule
from diamonds.errors import ArtefactError, NoSuchModelError
from diamonds.pipelines.monitoring import figure
from diamonds.pricer import Pricer

logger = logging.getLogger(__name__)

#: Of more training stones than this a sample stands for them where distributions are compared.
MOST_COMPARED, SEED = 200_000, 42


def watch(
    traffic_window: TrafficWindow, sales_window: SalesWindow, champion: CurrentChampion | None, monitoring: Rule
) -> dict[str, Any]:
    """Hold the stones asked about beside those that the champion learned from, and its quotes beside prices paid.

    Returns:
        A `drift.Report` as JSON.

    Raises:
        NoSuchModelError: There is no champion.
        ArtefactError: Its files cannot be loaded.
    """
    pricer = _pricer(champion)
    stones = traffic_window.stones
    features = drift.compare(pricer.stones.sample(MOST_COMPARED, SEED), stones, monitoring)
    sales = _sales(sales_window, pricer, champion.entry.metrics if champion else {}, monitoring)
    verdict = drift.judge(features, len(stones), sales, monitoring)
    report = Report(
        **verdict.model_dump(),
        at=traffic_window.read_at,
        **traffic_window.window._asdict(),
        model=pricer.name,
        version=pricer.version,
        stones=len(stones),
        exchanges=traffic_window.exchanges,
        skipped=traffic_window.skipped,
        whole=traffic_window.whole,
        features=features,
        outside=drift.outside(pricer.stones.blocks(), stones),
        sales=sales,
    )
    logger.info("Retrain: %s. %s", report.retrain, report.reason)
    return report.model_dump(mode="json")


def plot_report(monitoring_report: dict[str, Any], monitoring: Rule) -> go.Figure:
    """How far each feature has moved, and day by day how far quotes were from prices paid."""
    return figure.draw(Report.model_validate(monitoring_report), monitoring.psi)


def _pricer(champion: CurrentChampion | None) -> Pricer:
    if champion is None:
        raise NoSuchModelError("there is no champion to watch yet: `kedro run` trains one")
    if champion.pricer is None:
        raise ArtefactError(f"the champion cannot be watched, for it cannot be loaded: {champion.problem}")
    return champion.pricer


def _sales(window: SalesWindow, pricer: Pricer, metrics: dict[str, Any], rule: Rule) -> drift.Sales:
    sales = window.sales
    ours = sales[(sales["model"] == pricer.name) & (sales["version"] == pricer.version)]
    live = drift.live_error(ours, metrics, rule)
    others = len(sales) - len(ours)
    return drift.Sales(
        **live.model_dump(), others=others, unreadable=window.unreadable, whole=window.whole, days=_days(ours)
    )


def _days(sales: pd.DataFrame) -> list[drift.SoldDay]:
    error = ((sales["price"] - sales["paid"]) / sales["paid"]).abs()
    by_day = error.groupby(sales["recorded_at"].dt.date)
    return [drift.SoldDay(day=day, sold=len(of_it), mape=float(of_it.mean())) for day, of_it in by_day]
