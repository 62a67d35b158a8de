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
unfetched: Final = Gauge(
    "fraud_models_unfetched",
    "Models of the control topic that are in the archive, and that this worker could not get from "
    "there: away, missing, or not as they were published. It tries again.",
    registry=registry,
)
