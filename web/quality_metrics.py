"""Metrics of the quality of decisions, read at each scrape; all workers tell the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fraudapp.decisions.recent import Unknowable
from fraudapp.metrics import registry
from models.quality.documents import DecisionQuality

WEEKS: Final = 4
"""The last weeks, which the metrics are about."""


class QualityCollector(Collector):
    """Tells of labels, and of what was blocked and flagged in weeks whose labels have come."""

    def __init__(self) -> None:
        self.source: Callable[[], DecisionQuality | None] = lambda: None
        """Returns what is known of the last `WEEKS` weeks; None before the worker has started."""

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics; none while this worker does not know the cells of all."""
        try:
            told = self.source()
        except Unknowable:
            return
        if told is not None:
            yield _labelled(told)
            yield from _precision(told)


def _labelled(told: DecisionQuality) -> Metric:
    labelled = GaugeMetricFamily(
        "fraud_labelled_decisions",
        "Decisions of the last four weeks that have a label, in the whole cluster.",
        labels=["outcome", "label"],
    )
    for outcome, each in told.total.measured.outcomes.items():
        labelled.add_metric([outcome, "fraud"], each.frauds)
        labelled.add_metric([outcome, "legitimate"], each.legitimate)
    return labelled


def _precision(told: DecisionQuality) -> Iterator[Metric]:
    expected = GaugeMetricFamily(
        "fraud_expected_precision",
        "Mean score of what was stopped in the mature ones of the last four weeks.",
        labels=["outcome"],
    )
    observed = GaugeMetricFamily(
        "fraud_observed_precision",
        "Share of frauds in what is labelled of that.",
        labels=["outcome"],
    )
    labels = GaugeMetricFamily(
        "fraud_precision_labels", "How many of that have a label.", labels=["outcome"]
    )
    for outcome in ("FLAG", "BLOCK"):
        each = told.mature.measured.outcomes[outcome]
        labels.add_metric([outcome], each.frauds + each.legitimate)
        if each.expected is not None:
            expected.add_metric([outcome], each.expected)
        if each.observed is not None:
            observed.add_metric([outcome], each.observed.value)
    yield from (expected, observed, labels)


quality: Final = QualityCollector()
registry.register(quality)
