"""Every metric of a worker, declared once: `/metrics` shows them to Prometheus.

Nothing is observed for each single event: stages and batches are observed once a batch, latencies
as a vector. Decisions are not counted here. Their counts come from the tables of the partitions
that this worker owns, which are exact after any crash. The sums over all workers are the counts of
the cluster.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from models.counts import Counts, total

Stage = Literal["ledger", "read", "admit", "score", "append", "reject", "count"]

SHORT_TIME_BUCKETS: Final = (
    0.0001,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    5.0,
)
"""Upper ends of the buckets of short times, seconds."""
LATENCY_BUCKETS: Final = tuple(
    factor * scale
    for scale in (0.001, 0.01, 0.1, 1.0, 10.0)
    for factor in (1.0, 1.5, 2.0, 3.0, 5.0, 7.5)
)
"""Upper ends of the buckets of latencies, seconds; close together, for percentiles."""
PERCENTILE_WINDOW: Final = 60.0
"""Seconds over which percentiles are taken."""

# Otherwise each counter would have a second series, with the time of its creation.
disable_created_metrics()  # type: ignore[no-untyped-call]
registry: Final = CollectorRegistry()
ProcessCollector(registry=registry)
PlatformCollector(registry=registry)

_stage_seconds: Final = Histogram(
    "fraud_stage_seconds",
    "Time a batch spends in a stage of the decision path: bringing the index up to date, reading, "
    "looking up earlier decisions, scoring and deciding, appending to the log, sending dead "
    "letters, writing counts.",
    ["stage"],
    buckets=SHORT_TIME_BUCKETS,
    registry=registry,
)
batch_messages: Final = Histogram(
    "fraud_batch_messages",
    "Messages in one batch of the pipeline.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000),
    registry=registry,
)
_store_seconds: Final = Histogram(
    "fraud_store_save_seconds",
    "Time of one write to a sink, whether it succeeds or fails.",
    ["store"],
    buckets=SHORT_TIME_BUCKETS,
    registry=registry,
)
_store_errors: Final = Counter(
    "fraud_store_errors",
    "Failed writes to a sink; each is retried.",
    ["store"],
    registry=registry,
)
lost_messages: Final = Counter(
    "fraud_lost_messages",
    "Input offsets that the broker deleted before they were read.",
    ["partition"],
    registry=registry,
)
http_requests: Final = Counter(
    "fraud_http_requests",
    "HTTP requests by route, method and status of the answer.",
    ["route", "method", "status"],
    registry=registry,
)
http_seconds: Final = Histogram(
    "fraud_http_request_seconds",
    "Time until a request was answered, waiting for decisions and streaming included.",
    ["route"],
    registry=registry,
)


def stage(name: Stage) -> AbstractContextManager[object]:
    """Time a stage of a batch, which is the body of `with`."""
    return _stage_seconds.labels(name).time()


@contextmanager
def store_call(sink: str) -> Iterator[None]:
    """Time one attempt to save to a sink, and count it if it raises."""
    with _store_seconds.labels(sink).time(), _store_errors.labels(sink).count_exceptions():
        yield


class Latencies(Collector):
    """A histogram that observes vectors, and gives percentiles of the last minute."""

    def __init__(self) -> None:
        self._counts: NDArray[np.int64] = np.zeros(len(LATENCY_BUCKETS) + 1, dtype=np.int64)
        self._sum = 0.0
        # The times of earlier calls of `percentiles`, with the counts they saw.
        self._snapshots: deque[tuple[float, NDArray[np.int64]]] = deque()

    def observe_since(self, timestamps: Iterable[float | None]) -> None:
        """Observe the seconds since each timestamp (since 1970); None and below 0 are unknown."""
        known = np.array([each for each in timestamps if each is not None and each >= 0])
        self.observe(time.time() - known)

    def observe(self, seconds: NDArray[np.float64]) -> None:
        """Observe latencies; those below 0, from clocks that disagree, count as 0."""
        seconds = np.maximum(seconds, 0.0)
        buckets = np.searchsorted(LATENCY_BUCKETS, seconds, side="left")
        self._counts += np.bincount(buckets, minlength=len(LATENCY_BUCKETS) + 1)
        self._sum += float(seconds.sum())

    def percentiles(self, now: float) -> dict[str, float]:
        """Return `p50`, `p95` and `p99` of the last minute in seconds; empty without latencies.

        Each is the upper end of its bucket. Call it about every second, since it compares with the
        counts at earlier calls. `now` is in seconds on any monotonic clock.
        """
        while len(self._snapshots) > 1 and self._snapshots[1][0] <= now - PERCENTILE_WINDOW:
            self._snapshots.popleft()
        before = self._snapshots[0][1] if self._snapshots else np.zeros_like(self._counts)
        sums = np.cumsum(self._counts - before)
        self._snapshots.append((now, self._counts.copy()))
        if not sums[-1]:
            return {}
        upper_ends = [*LATENCY_BUCKETS, LATENCY_BUCKETS[-1]]
        return {
            f"p{percent}": upper_ends[int(np.searchsorted(sums, sums[-1] * percent / 100))]
            for percent in (50, 95, 99)
        }

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client`."""
        sums = np.cumsum(self._counts).tolist()
        names = [*map(str, LATENCY_BUCKETS), "+Inf"]
        family = HistogramMetricFamily(
            "fraud_decision_latency_seconds",
            "Time from the timestamp of a message to its decision, or to its rejection.",
        )
        family.add_metric([], list(zip(names, sums, strict=True)), self._sum)
        yield family


class SinkState(NamedTuple):
    """The state of a sink at one moment."""

    behind: int
    """Decisions of this worker's partitions that the sink lacks."""
    down: bool


class WorkerState(NamedTuple):
    """The state of a worker at the moment of a scrape."""

    counts: Mapping[int, Counts]
    """Counts of the partitions that this worker owns."""
    lags: Mapping[int, int]
    """Inputs of its partitions that it has not processed; partitions of unknown lag are absent."""
    sinks: Mapping[str, SinkState]
    model_version: str
    policy_version: str
    waiting: int
    """Callers over HTTP that wait for a decision."""


class WorkerCollector(Collector):
    """Metrics that are read from the worker at each scrape."""

    source: Callable[[], WorkerState | None] = staticmethod(lambda: None)
    """Returns the state, or None while the worker starts. Whoever knows the state sets it."""

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client`."""
        state = self.source()
        if state is not None:
            yield from _of_counts(state.counts)
            yield from _of_sinks(state.sinks)
            yield _gauge(
                "fraud_consumer_lag_messages",
                "Consumer lag: messages of a partition that are not processed yet.",
                ["partition"],
                [([str(partition)], lag) for partition, lag in state.lags.items()],
            )
            yield _gauge(
                "fraud_model_info",
                "The model and the policy that decide; always 1.",
                ["version", "policy"],
                [([state.model_version, state.policy_version], 1)],
            )
            yield _gauge(
                "fraud_waiting_callers",
                "HTTP requests that wait for a decision now.",
                [],
                [([], state.waiting)],
            )


def _of_counts(partitions: Mapping[int, Counts]) -> Iterator[Metric]:
    decisions = CounterMetricFamily(
        "fraud_decisions",
        "Distinct decisions in the partitions this worker owns, since the log began.",
        labels=["partition", "outcome"],
    )
    duplicates = CounterMetricFamily(
        "fraud_duplicates",
        "Messages that were answered with an earlier decision.",
        labels=["partition"],
    )
    dead_letters = CounterMetricFamily(
        "fraud_dead_letters", "Rejected messages by reason.", labels=["partition", "reason"]
    )
    for partition, counts in partitions.items():
        sums, label = total({partition: counts}), str(partition)
        duplicates.add_metric([label], sums.duplicates)
        for outcome, count in sums.decisions.items():
            decisions.add_metric([label, outcome], count)
        for reason, count in sums.dead_letters.items():
            dead_letters.add_metric([label, reason], count)
    yield from (decisions, duplicates, dead_letters)


def _of_sinks(sinks: Mapping[str, SinkState]) -> Iterator[Metric]:
    yield _gauge(
        "fraud_store_behind_decisions",
        "Decisions of this worker's partitions that a sink does not have yet.",
        ["store"],
        [([name], state.behind) for name, state in sinks.items()],
    )
    yield _gauge(
        "fraud_store_up",
        "Whether a sink accepts writes: 1 or 0.",
        ["store"],
        [([name], int(not state.down)) for name, state in sinks.items()],
    )


def _gauge(
    name: str, meaning: str, labels: Sequence[str], rows: Iterable[tuple[list[str], float]]
) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


latency: Final = Latencies()
worker: Final = WorkerCollector()
registry.register(latency)
registry.register(worker)
