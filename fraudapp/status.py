"""The status of this worker, which metrics, heartbeats and health answers report."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from typing import cast

from faust.exceptions import ConsumerNotStarted
from faust.types import TP

from fraudapp.kafka.consumer import SafeConsumer
from fraudapp.metrics import SinkState
from fraudapp.worker import FraudWorker
from models.counts import Counts


class WorkerStatus:
    """Reads the state of the worker and of Faust, and changes nothing."""

    def __init__(self, worker: FraudWorker) -> None:
        self._worker = worker
        self._app = worker.app
        self._settings = worker.settings

    @property
    def name(self) -> str:
        """HOST:PORT of the web server, which no two workers share."""
        return f"{socket.gethostname()}:{self._settings.web_port}"

    def owned(self) -> list[int]:
        """Return the partitions that this worker owns; none during a rebalance."""
        generation, partitions = self._worker.assignment
        if self._is_unsteady() or generation != self._app.consumer_generation_id:
            return []
        return list(partitions)

    def unread(self) -> list[int]:
        """Return the partitions of this worker whose index has not read all decisions yet."""
        return [] if self._is_unsteady() else self._worker.unread()

    def sinks(self) -> dict[str, SinkState]:
        """Return the state of each sink by name; empty before the worker has started."""
        if not self._worker.has_started:
            return {}
        writers = self._worker.parts().sink_writers
        return {each.sink.name: SinkState(each.lag, each.failure is not None) for each in writers}

    def high_waters(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return the offset after the last record of each input partition, where it is known."""
        topic = self._settings.transactions_topic
        known = {each: self._high_water(TP(topic, each)) for each in partitions}
        return {partition: offset for partition, offset in known.items() if offset is not None}

    def lags(self, counts: Mapping[int, Counts]) -> dict[int, int]:
        """Return the `lag` of each partition with counts, where it is known."""
        return {
            partition: lag(end, counts[partition])
            for partition, end in self.high_waters(counts).items()
        }

    def _is_unsteady(self) -> bool:
        return bool(self._app.rebalancing or self._app.in_recovery)

    def _high_water(self, partition: TP) -> int | None:
        try:
            return cast(SafeConsumer, self._app.consumer).outstanding(partition)
        except (AssertionError, AttributeError, KeyError, ConsumerNotStarted):
            return None  # the consumer has just lost the partition, or has stopped


def lag(high_water: int, counts: Counts | None) -> int:
    """Return the consumer lag of a partition: inputs that are not processed yet."""
    return max(0, high_water - (counts.offset if counts else -1) - 1)
