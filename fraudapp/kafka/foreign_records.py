"""Records on topics of ours that we did not write: passed over, counted, and told once each.

Whoever may write to a topic may write anything to it. It must never end a worker, and at every
start again.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import Final

from prometheus_client import Counter

from fraudapp import metrics
from models.characters import legible

log = logging.getLogger(__name__)

REMEMBERED: Final = 10_000
"""Positions that were told of, at most; several readers come by each of them."""

LONGEST: Final = 200
"""Characters of what is wrong that are told."""

_records: Final = Counter(
    "fraud_foreign_records",
    "Records on a topic of ours that this application did not write, and passes over.",
    ["topic"],
    registry=metrics.registry,
)
_told: Final[OrderedDict[tuple[str, int, int], None]] = OrderedDict()


def passed_over(topic: str, partition: int, offset: int, why: object) -> None:
    """Count a record, and say where it is and what is wrong with it, unless that was done."""
    where = topic, partition, offset
    if where in _told:
        return
    _told[where] = None
    if len(_told) > REMEMBERED:
        _told.popitem(last=False)
    _records.labels(topic).inc()
    text = legible(str(why)[:LONGEST])
    log.warning("record %s/%d/%d is none of ours, and is passed over: %s", *where, text)
