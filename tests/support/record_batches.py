"""Record batches as the agent gets them, without a consumer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from faust.types import EventT

from fraudapp.kafka.record_batch import RecordBatch


def record_batch(
    partition: int, records: int = 1, *, size: int = 100, name: object = None
) -> EventT[Any]:
    """Return the event of a record batch of so many records, and bytes, of a partition."""
    there = [cast(Any, SimpleNamespace(offset=offset)) for offset in range(records)]
    message = SimpleNamespace(partition=partition, value=RecordBatch(there, size))
    return cast("EventT[Any]", SimpleNamespace(message=message, name=name))


def name_of(event: EventT[Any]) -> Any:
    """Return the name that it was given."""
    return cast(Any, event).name
