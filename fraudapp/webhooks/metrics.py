"""Metrics of webhooks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from prometheus_client import Counter, Gauge

from fraudapp.metrics import registry

deliveries: Final = Counter(
    "fraud_webhook_deliveries",
    "Attempts to tell the receiver of webhooks an event, delivered or failed; each that has failed "
    "is repeated.",
    ["type", "outcome"],
    registry=registry,
)
_oldest: Final = Gauge(
    "fraud_webhook_oldest_undelivered_seconds",
    "Time since the oldest event happened that this worker has still to tell the receiver of "
    "webhooks; 0 without any.",
    registry=registry,
)
_waiting: Final[dict[object, float]] = {}


@contextmanager
def undelivered(since: datetime) -> Iterator[None]:
    """Count an event as not delivered during the body of `with`."""
    token = object()
    _waiting[token] = since.timestamp()
    try:
        yield
    finally:
        del _waiting[token]


def _age() -> float:
    now = time.time()
    return max(0.0, now - min(_waiting.values(), default=now))


_oldest.set_function(_age)
