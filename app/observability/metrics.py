"""Prometheus metrics. docs/grafana.json is a dashboard for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from santacoder.engine.engine import Engine
from santacoder.engine.sequence import Sequence

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_TOKEN_SECONDS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)


class Loaded(Protocol):
    """The state that is read at each scrape."""

    def engines(self) -> list[tuple[str, Engine]]:
        """The engines in memory, by ``repo@commit``."""
        ...


class Metrics:
    """The metrics of one server, in a separate registry, so that a process can have several servers."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "santacoder_http_requests", "Answered requests.", ["endpoint", "status"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "santacoder_http_request_seconds",
            "Time from a request to the end of its response.",
            ["endpoint"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.loads = Counter(
            "santacoder_model_loads", "Revisions loaded into memory.", ["model", "result"], registry=self.registry
        )
        self._texts = Counter(
            "santacoder_texts", "Finished texts by the reason for their end.", ["reason"], registry=self.registry
        )
        self._stopped = Counter(
            "santacoder_texts_stopped",
            "Texts that ended before their limit, by reason; repetition: they repeated themselves.",
            ["by"],
            registry=self.registry,
        )
        self._tokens = Counter(
            "santacoder_tokens",
            "Tokens of finished texts: prefilled, from the prefix cache, generated, and drafted among the generated.",
            ["kind"],
            registry=self.registry,
        )
        self._first_token = Histogram(
            "santacoder_time_to_first_token_seconds",
            "Time from a request's arrival at the engine to its first new token.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._token_seconds = Histogram(
            "santacoder_time_per_token_seconds",
            "Mean time between the new tokens of a text.",
            buckets=_TOKEN_SECONDS,
            registry=self.registry,
        )

    def watch(self, loaded: Loaded) -> None:
        """Also report slots and queues, as they are at each scrape."""
        self.registry.register(_Engines(loaded))

    def count_text(self, sequence: Sequence, ended_at: float) -> None:
        """Count a text that ended at ``ended_at``, a time of ``time.perf_counter``."""
        self._texts.labels(sequence.reason).inc()
        if sequence.ended_by is not None:
            self._stopped.labels(sequence.ended_by).inc()
        n_prompt = sequence.n_prompt + len(sequence.taken_back)
        self._tokens.labels("read").inc(max(0, min(sequence.n_computed, n_prompt) - sequence.n_cached))
        self._tokens.labels("cached").inc(sequence.n_cached)
        self._tokens.labels("written").inc(sequence.n_written)
        self._tokens.labels("drafted").inc(sequence.n_accepted)
        if sequence.first_token_at is not None:
            self._first_token.observe(sequence.first_token_at - sequence.submitted_at)
            if sequence.n_written > 1:
                self._token_seconds.observe((ended_at - sequence.first_token_at) / (sequence.n_written - 1))

    def text(self) -> bytes:
        """All metrics, in Prometheus' text format."""
        return generate_latest(self.registry)


class _Engines(Collector):
    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded

    def collect(self) -> Iterable[Metric]:
        slots = GaugeMetricFamily("santacoder_slots", "Sequences that a model can run.", labels=["model", "state"])
        waiting = GaugeMetricFamily("santacoder_waiting", "Requests in a model's queue.", labels=["model"])
        failing = GaugeMetricFamily("santacoder_engine_failing", "1 if a model cannot be run.", labels=["model"])
        for name, engine in self._loaded.engines():
            n_free = engine.n_free_slots
            slots.add_metric([name, "free"], n_free)
            slots.add_metric([name, "used"], engine.runner.n_slots - n_free)
            waiting.add_metric([name], engine.n_waiting)
            failing.add_metric([name], engine.problem is not None)
        return [slots, waiting, failing]
