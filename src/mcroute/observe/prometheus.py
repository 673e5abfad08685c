"""The metrics as a Prometheus collector and an HTTP endpoint; needs prometheus-client."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from .._engine.snapshots import Latencies
from .metrics import BOUNDS_S, METRICS
from .observation import Kind, Metric, Observation, Observed

__all__ = ("MetricsServer", "ProxyCollector")

PREFIX = "mcroute_"

_living: weakref.WeakSet[MetricsServer] = weakref.WeakSet()


class ProxyCollector(Collector):
    """Observes the proxy at each scrape; also for a registry of your own."""

    def __init__(self, observed: Observed) -> None:
        self._observed = observed

    def collect(self) -> Iterator[Family]:
        seen = self._observed.observe()
        for metric in METRICS:
            yield _family(metric, seen)


class MetricsServer:
    """Serves the metrics of a proxy and of its process over HTTP, until it is closed."""

    def __init__(self, observed: Observed, host: str, port: int) -> None:
        registry = CollectorRegistry()
        registry.register(ProxyCollector(observed))
        ProcessCollector(registry=registry)
        self._server, self._thread = start_http_server(port, host, registry)
        self.port: int = self._server.server_port
        _living.add(self)

    def close(self) -> None:
        """Returns when the port is free; takes up to half a second."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _leave_to_the_parent() -> None:
    """Closes the port in a forked child: no thread would answer there."""
    for server in list(_living):
        server._server.socket.close()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_leave_to_the_parent)


def _family(metric: Metric, seen: Observation) -> Family:
    name = PREFIX + metric.name
    samples = metric.read(seen)
    if metric.kind is Kind.HISTOGRAM:
        return _histogram(HistogramMetricFamily(name, metric.help, labels=metric.labels), samples)
    kind = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family = kind(name, metric.help, labels=metric.labels)
    for labels, value in samples:
        assert not isinstance(value, Latencies)
        family.add_metric(labels, value)
    return family


def _histogram(family: HistogramMetricFamily, samples: Iterable[tuple[tuple[str, ...], object]]) -> Family:
    for labels, value in samples:
        assert isinstance(value, Latencies)
        buckets = [(repr(bound), float(value.below(bound))) for bound in BOUNDS_S]
        family.add_metric(labels, [*buckets, ("+Inf", float(value.count))], value.sum_s)
    return family
