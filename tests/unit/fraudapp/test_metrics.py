"""`/metrics` shows the values that were observed."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from fraudapp import metrics
from fraudapp.metrics import (
    LATENCY_BUCKETS,
    PERCENTILE_WINDOW,
    Latencies,
    SinkState,
    WorkerCollector,
    WorkerState,
)
from fraudapp.sinks.base import SinkUnavailable
from models.counts import Counts

seconds = st.floats(0, 200) | st.sampled_from(LATENCY_BUCKETS)


@given(st.lists(st.lists(seconds, max_size=30), max_size=5))
def test_a_vector_counts_as_its_values_one_by_one(batches: list[list[float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    latencies = Latencies()
    ours.register(latencies)
    name = "fraud_decision_latency_seconds"
    reference = Histogram(name, "The same.", buckets=LATENCY_BUCKETS, registry=theirs)
    for batch in batches:
        latencies.observe(np.array(batch))
        for each in batch:
            reference.observe(each)
    for bound in [*map(str, LATENCY_BUCKETS), "+Inf"]:
        labels = {"le": bound}
        assert ours.get_sample_value(f"{name}_bucket", labels) == theirs.get_sample_value(
            f"{name}_bucket", labels
        )
    sums = [each.get_sample_value(f"{name}_sum") for each in (ours, theirs)]
    assert sums[0] == pytest.approx(sums[1])


def test_percentiles_are_those_of_the_last_minute() -> None:
    latencies = Latencies()
    assert latencies.percentiles(0.0) == {}
    latencies.observe(np.array([0.0009] * 98 + [0.4, 40.0]))
    for now in (1.0, PERCENTILE_WINDOW - 1):
        assert latencies.percentiles(now) == {"p50": 0.001, "p95": 0.001, "p99": 0.5}
    latencies.observe(np.array([2.0]))
    assert latencies.percentiles(PERCENTILE_WINDOW + 1.5)["p50"] == 2.0
    assert latencies.percentiles(3 * PERCENTILE_WINDOW) == {}


def test_unknown_and_future_timestamps_do_no_harm() -> None:
    latencies = Latencies()
    latencies.observe_since([None, -1.0, time.time() + 60])
    assert latencies.percentiles(0.0) == {"p50": 0.001, "p95": 0.001, "p99": 0.001}


def test_a_failed_attempt_is_counted_and_timed() -> None:
    labels = {"store": "test"}
    with pytest.raises(SinkUnavailable), metrics.store_call("test"):
        raise SinkUnavailable
    with metrics.store_call("test"):
        pass
    value = metrics.registry.get_sample_value
    assert value("fraud_store_errors_total", labels) == 1
    assert value("fraud_store_save_seconds_count", labels) == 2


def test_counts_have_a_partition_so_that_the_sum_over_workers_is_right() -> None:
    registry, collector = CollectorRegistry(), WorkerCollector()
    registry.register(collector)
    assert list(registry.collect()) == []
    collector.source = lambda: WorkerState(
        counts={3: Counts(9, {"BLOCK": 2, "duplicate": 1, "invalid": 4})},
        lags={3: 7},
        sinks={"redis": SinkState(5, True)},
        model_version="m",
        policy_version="p",
        waiting=2,
    )
    value = registry.get_sample_value
    at = {"partition": "3"}
    assert value("fraud_decisions_total", {**at, "outcome": "BLOCK"}) == 2
    assert value("fraud_decisions_total", {**at, "outcome": "FLAG"}) == 0
    assert value("fraud_duplicates_total", at) == 1
    assert value("fraud_dead_letters_total", {**at, "reason": "invalid"}) == 4
    assert value("fraud_consumer_lag_messages", at) == 7
    assert value("fraud_store_up", {"store": "redis"}) == 0
    assert value("fraud_store_behind_decisions", {"store": "redis"}) == 5
    assert value("fraud_model_info", {"version": "m", "policy": "p"}) == 1


def test_names_and_help_follow_the_conventions() -> None:
    for family in metrics.registry.collect():
        if family.name.startswith("fraud_"):
            assert family.documentation
            assert not family.name.endswith(("_ms", "_milliseconds", "_count", "_sum"))
