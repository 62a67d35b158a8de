"""Metrics of policies; those of rules and lists are read from what is in force at each scrape."""

from __future__ import annotations

from typing import Final

from prometheus_client import Gauge

from fraudapp.metrics import registry

unfit: Final = Gauge(
    "fraud_policy_unfit",
    "Whether the last policy is none, or does not fit the schema or the model here, so that an "
    "earlier one stays in force: 1 or 0.",
    registry=registry,
)
