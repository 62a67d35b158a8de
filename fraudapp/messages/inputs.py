"""Converts Kafka records into inputs of the core."""

from __future__ import annotations

import re
from typing import Any

from aiokafka import ConsumerRecord

from fraudapp.messages.publish import LOST, ORIGIN
from models.inputs import Input, Position


def input_of(record: ConsumerRecord, partitions: int) -> Input:
    """Return what a record of a topic of transactions or labels, with so many partitions, holds."""
    position = Position(record.topic, record.partition, record.offset)
    origin = _origin(record.headers, position) if record.headers else None
    # A true origin is another partition of the topic, and one that exists.
    if origin is None or origin.partition == record.partition or origin.partition >= partitions:
        return Input(record.key, record.value, position, position)
    return Input(record.key, record.value, position, origin, _lost(record.headers))


def _origin(headers: Any, read: Position) -> Position | None:
    # Written by `reroute`, once; anything else is somebody's own header of that name.
    written = [value for name, value in headers if name == ORIGIN]
    origin = Position.decode(written[0]) if len(written) == 1 else None
    return origin if origin and origin.topic == read.topic else None


def _lost(headers: Any) -> tuple[tuple[str, bytes], ...]:
    written = dict(headers)
    return tuple(
        (name, written[name])
        for name, form in LOST.items()
        if written.get(name) and re.fullmatch(form, written[name])
    )
