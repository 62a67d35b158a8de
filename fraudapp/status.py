"""How this worker does, as its metrics, its reports and its health answers tell it."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from typing import cast

from faust.exceptions import ConsumerNotStarted
from faust.types import TP

from fraudapp.app import app, runtime, settings
from fraudapp.kafka.consumer import SafeConsumer
from fraudapp.metrics import SinkState
from models.counts import Counts


def worker_name() -> str:
    """HOST:PORT of the web server: no two workers have the same."""
    return f"{socket.gethostname()}:{settings.web_port}"


def owned() -> list[int]:
    """Partitions that are this worker's now; none while they are being assigned."""
    generation, numbers = runtime.owned
    steady = not app.rebalancing and not app.in_recovery
    return list(numbers) if steady and generation == app.consumer_generation_id else []


def unread() -> list[int]:
    """Partitions that are this worker's, and that it cannot decide in before it has read them."""
    return [] if app.rebalancing or app.in_recovery else runtime.unread()


def stores() -> dict[str, SinkState]:
    """How each sink does, by name."""
    return {
        sink_writer.sink.name: SinkState(sink_writer.lag, sink_writer.failure is not None)
        for sink_writer in runtime.sink_writers
    }


def high_waters(numbers: Iterable[int]) -> dict[int, int]:
    """Offset after the last message of each input partition, where it is known already."""
    known = {number: _high_water(TP(settings.transactions_topic, number)) for number in numbers}
    return {number: offset for number, offset in known.items() if offset is not None}


def _high_water(partition: TP) -> int | None:
    try:
        return cast(SafeConsumer, app.consumer).outstanding(partition)
    except (AssertionError, AttributeError, KeyError, ConsumerNotStarted):
        return None  # the consumer has just lost it, or stopped


def lag(high_water: int, counts: Counts | None) -> int:
    """Messages of a partition that are not dealt with yet."""
    return max(0, high_water - (counts.offset if counts else -1) - 1)


def lags(counts: Mapping[int, Counts]) -> dict[int, int]:
    """The same, of each partition with counts, where it is known."""
    return {number: lag(end, counts[number]) for number, end in high_waters(counts).items()}
