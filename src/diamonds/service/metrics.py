"""What Prometheus is told of one worker; several workers of a machine add up."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection
from typing import Any

from diamonds.store.outbox import Report

#: In seconds: a quote takes less than the first.
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
#: The route of all that is no route of ours: what callers make up must not make up metrics.
OTHER = "other"


class ServiceMetrics:
    """Requests, prices, the champion, and the exchanges that wait for the database."""

    def __init__(self, routes: Collection[str]) -> None:
        """Name the routes that are told apart."""
        import prometheus_client as metrics  # in a worker, where BentoML has said how workers add up

        self._routes = frozenset(routes)
        self._requests = metrics.Counter("diamonds_requests_total", "Requests answered", ["route", "status"])
        self._seconds = metrics.Histogram(
            "diamonds_request_seconds", "From the request to its answer", ["route"], buckets=BUCKETS
        )
        self._prices = metrics.Counter("diamonds_prices_total", "Prices quoted", ["model"])
        self._champion = metrics.Gauge(
            "diamonds_champion", "1 for the model that serves", ["model", "version"], multiprocess_mode="livemax"
        )
        self._refused = metrics.Gauge(
            "diamonds_champion_refused",
            "1 while the model store names a champion that cannot be used",
            multiprocess_mode="livemax",
        )
        self._waiting = metrics.Gauge(
            "diamonds_outbox_exchanges", "Exchanges that wait for the database", multiprocess_mode="livesum"
        )
        self._unkept = metrics.Counter("diamonds_exchanges_unkept_total", "Exchanges that could not be kept")
        self._bytes = metrics.Gauge(
            "diamonds_outbox_bytes", "What the outboxes of all workers take", multiprocess_mode="livemostrecent"
        )
        self._unreadable = metrics.Counter(
            "diamonds_outbox_unreadable_total", "Lines of the outbox that the database cannot have"
        )
        self._serving: tuple[str, str] | None = None
        self._totals: Counter[tuple[Any, ...]] = Counter()
        self._told: Counter[tuple[Any, ...]] = Counter()
        self._histograms: dict[str, Any] = {}
        self._guard = threading.Lock()

    def answered(self, path: str, status: int, seconds: float, model: str | None, prices: int) -> None:
        """Count a request and the prices in its answer; only to be called in one thread."""
        route = path if path in self._routes else OTHER
        self._totals[self._requests, route, status] += 1
        if prices:
            self._totals[self._prices, model] += prices
        histogram = self._histograms.get(route)
        if histogram is None:
            histogram = self._histograms[route] = self._seconds.labels(route)
        histogram.observe(seconds)

    def settle(self) -> None:
        """Tell Prometheus what was counted since it was told last: to tell it each time would take longer."""
        with self._guard:
            for key, total in list(self._totals.items()):
                counter, *labels = key
                counter.labels(*labels).inc(total - self._told[key])
                self._told[key] = total

    def unkept(self) -> None:
        """Count an exchange whose record was lost."""
        self._unkept.inc()

    def outbox(self, report: Report) -> None:
        """Say how the outbox does."""
        self._waiting.set(report.waiting)
        self._bytes.set(report.size)
        self._unreadable.inc(report.unreadable)
        self._unkept.inc(report.lost)
        self.settle()

    def champion(self, name_and_version: tuple[str, str] | None, *, refused: bool) -> None:
        """Say which model serves, and whether another should."""
        if self._serving is not None:
            self._champion.labels(*self._serving).set(0)
        if name_and_version is not None:
            self._champion.labels(*name_and_version).set(1)
        self._serving = name_and_version
        self._refused.set(int(refused))
