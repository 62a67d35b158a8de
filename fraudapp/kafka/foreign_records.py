"""Counts and logs the records on our topics that this application did not write.

Whoever may write to a topic may write anything to it. Readers skip such a record: an error
would end the worker, and again at every start.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import Final

from prometheus_client import Counter

from fraudapp import metrics
from models.characters import legible

log = logging.getLogger(__name__)

MAX_REMEMBERED_RECORDS: Final = 10_000
"""Foreign records that are remembered, since several readers read each of them."""

MAX_REASON_CHARACTERS: Final = 200
"""Characters of the reason in the log, at most."""

_records: Final = Counter(
    "fraud_foreign_records",
    "Skipped records: on a topic of this application, but not written by it.",
    ["topic"],
    registry=metrics.registry,
)
_reported: Final[OrderedDict[tuple[str, int, int], None]] = OrderedDict()


def report_foreign_record(topic: str, partition: int, offset: int, why: object) -> None:
    """Count a foreign record, and log its position and `why`, once however often it is read."""
    position = topic, partition, offset
    if position in _reported:
        return
    _reported[position] = None
    if len(_reported) > MAX_REMEMBERED_RECORDS:
        _reported.popitem(last=False)
    _records.labels(topic).inc()
    reason = legible(str(why)[:MAX_REASON_CHARACTERS])
    log.warning("skipped foreign record %s/%d/%d: %s", *position, reason)
