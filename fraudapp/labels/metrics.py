"""Metrics of labels."""

from __future__ import annotations

from typing import Final, get_args

from prometheus_client import Counter, Gauge

from fraudapp.metrics import registry
from models.inputs import Cause
from models.labels.records import Source

joined: Final = Counter(
    "fraud_labels_joined",
    "Transactions that got another label, by the source that counts now.",
    ["source"],
    registry=registry,
)
dead: Final = Counter(
    "fraud_labels_dead",
    "Labels that became dead letters, by reason.",
    ["reason"],
    registry=registry,
)
for _source in Source:
    joined.labels(_source.value)
for _reason in get_args(Cause):
    dead.labels(_reason)
waiting: Final = Gauge(
    "fraud_labels_waiting",
    "Labels, of this worker's partitions, on transactions that are not decided.",
    registry=registry,
)
conflicting: Final = Gauge(
    "fraud_labels_conflicting",
    "Transactions, of this worker's partitions, on which sources disagree.",
    registry=registry,
)
lag: Final = Gauge(
    "fraud_labels_lag_messages",
    "Records of the topic of labels, in this worker's partitions, that were not read yet.",
    registry=registry,
)
behind: Final = Gauge(
    "fraud_labels_known_lag_messages",
    "Labelled decisions, of all workers, that this worker does not know yet.",
    registry=registry,
)
