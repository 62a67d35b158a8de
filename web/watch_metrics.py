"""Metrics of the watch, read at each scrape; all workers tell the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fraudapp.decisions.recent import Unknowable
from fraudapp.metrics import registry
from models.watch.documents import Watched


class WatchCollector(Collector):
    """Tells which alarms there are."""

    def __init__(self) -> None:
        self.source: Callable[[], Watched | None] = lambda: None
        """Returns what is known; None before the worker has started."""

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics; none while this worker does not know the cells of all."""
        try:
            told = self.source()
        except Unknowable:
            return
        if told is None:
            return
        alarms = GaugeMetricFamily(
            "fraud_watch_alarm",
            "1 where what models see or score has changed by more than chance; see /watch.",
            labels=["kind", "feature"],
        )
        for kind, feature in sorted({(each.kind, each.feature) for each in told.alarms}):
            alarms.add_metric([kind, feature], 1)
        yield alarms


watch: Final = WatchCollector()
registry.register(watch)
