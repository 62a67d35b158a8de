"""Metrics of the watch, read at each scrape; all workers tell the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, get_args

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fraudapp.decisions.recent import Unknowable
from fraudapp.metrics import registry
from models.watch.documents import Kind, Watched


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
        raised = {(each.kind, each.feature) for each in told.alarms}
        # A series that is always there tells an alarm that has ended from one that is unknown.
        known = {("feature", each) for each in _features(told)}
        known |= {(each, "") for each in get_args(Kind)}
        for kind, feature in sorted(raised | known):
            alarms.add_metric([kind, feature], float((kind, feature) in raised))
        yield alarms


def _features(told: Watched) -> Iterator[str]:
    for model in told.models:
        for day in model.days:
            yield from day.features


watch: Final = WatchCollector()
registry.register(watch)
