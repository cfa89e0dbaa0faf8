"""Prometheus metrics of what became of suggestions in editors."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.errors import StoreUnavailable
from app.shares.signals import Signals, acceptance_rates


class UseMetrics(Collector):
    """Reads the database at each scrape."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals

    def collect(self) -> Iterable[Metric]:
        events = CounterMetricFamily(
            "santacoder_suggestions",
            "Suggestions that editors reported on.",
            labels=["model", "language", "editor", "event"],
        )
        rates = GaugeMetricFamily(
            "santacoder_suggestion_acceptance",
            "Share of the shown suggestions that were accepted, wholly or in part, and its 95 % interval.",
            labels=["model", "bound"],
        )
        try:
            uses = self._signals.use()
        except StoreUnavailable:  # /health reports it
            return [events, rates]
        for use in uses:
            events.add_metric([f"{use.repo_id}@{use.revision}", use.language, use.editor, use.event], use.count)
        for repo_id in sorted({use.repo_id for use in uses}):
            for revision, rate in acceptance_rates(use for use in uses if use.repo_id == repo_id).items():
                for bound, value in zip(("rate", "lower", "upper"), (rate.share, *rate.interval), strict=True):
                    rates.add_metric([f"{repo_id}@{revision}", bound], value)
        return [events, rates]
