"""Metrics of the policy that is in force, read at each scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fraudapp.control.follower import ControlLog
from fraudapp.metrics import registry
from web.control import state


class PolicyCollector(Collector):
    """Tells of what is in force at this worker."""

    def __init__(self) -> None:
        self.source: Callable[[], ControlLog | None] = lambda: None
        """Returns what the worker follows; None before it has started."""

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        control = self.source()
        if control is None:
            return
        number = GaugeMetricFamily(
            "fraud_policy_number",
            "Number of the policy that decides here; 0 for the thresholds of the settings.",
        )
        number.add_metric([], control.candidate.number if control.candidate else 0)
        failures = CounterMetricFamily(
            "fraud_rule_failures",
            "Transactions for which a rule could not be computed, since its policy is in force.",
            labels=["rule"],
        )
        for rule, count in control.in_force.ruling.failures.items():
            failures.add_metric([rule], count)
        hits = CounterMetricFamily(
            "fraud_rule_hits",
            "Transactions that a rule has hit, in test too, since its policy is in force here.",
            labels=["rule"],
        )
        for rule, count in control.in_force.ruling.hits.items():
            hits.add_metric([rule], count)
        entries = GaugeMetricFamily(
            "fraud_list_entries", "Entries of a list that have not expired.", labels=["list"]
        )
        for name, size in state.sizes(control).items():
            entries.add_metric([name], size)
        caps = GaugeMetricFamily(
            "fraud_cap_begun",
            "1 for each cap that has begun and not ended; the rule is empty for that on all.",
            labels=["rule"],
        )
        for cap in state.caps(control):
            caps.add_metric([cap.rule], 1)
        yield from (number, hits, failures, entries, caps, *_shadow(control))


def _shadow(control: ControlLog) -> Iterator[Metric]:
    """Yield what models in shadow have come to since this worker has started."""
    rows = CounterMetricFamily(
        "fraud_shadow_rows", "Transactions that a model in shadow has scored.", labels=["model"]
    )
    agreed = CounterMetricFamily(
        "fraud_shadow_agreed",
        "Those for which its score leads to the same outcome as that of the model that decides.",
        labels=["model"],
    )
    failures = CounterMetricFamily(
        "fraud_shadow_failures",
        "Transactions for which a model in shadow had no score; they were decided all the same.",
        labels=["model"],
    )
    serving = GaugeMetricFamily(
        "fraud_shadow_model", "1 for each model that is in shadow here.", labels=["model"]
    )
    for version, each in control.models.challengers.items():
        rows.add_metric([version], each.rows)
        agreed.add_metric([version], each.agreed)
        failures.add_metric([version], each.failures)
    for each in control.in_force.challengers:
        serving.add_metric([each.version], 1)
    yield from (rows, agreed, failures, serving)


policy: Final = PolicyCollector()
registry.register(policy)
