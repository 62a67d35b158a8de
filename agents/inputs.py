"""From records of Kafka to the inputs of the core."""

from __future__ import annotations

import re
from typing import Any, Final

from aiokafka import ConsumerRecord

from fraudapp.messages.publish import LOST, ORIGIN
from models.admission import Input, Position

_WRITTEN: Final = re.compile(rb"(?P<topic>.+)/(?P<partition>\d{1,9})/(?P<offset>\d{1,18})")


def input_of(record: ConsumerRecord, partitions: int) -> Input:
    """Return what a record of the topic of transactions, with so many partitions, holds."""
    position = Position(record.topic, record.partition, record.offset)
    origin = _origin(record.headers, position) if record.headers else None
    # Nothing is sent on to where it is already, nor comes from a partition that there is not.
    if origin is None or origin.partition == record.partition or origin.partition >= partitions:
        return Input(record.key, record.value, position, position)
    return Input(record.key, record.value, position, origin, _lost(record.headers))


def _origin(headers: Any, read: Position) -> Position | None:
    # Written by `send_home`, once; anything else is somebody's own header of that name.
    written = [value for name, value in headers if name == ORIGIN]
    match = _WRITTEN.fullmatch(written[0] or b"") if len(written) == 1 else None
    if match is None:
        return None
    origin = Position(read.topic, int(match["partition"]), int(match["offset"]))
    return origin if str(origin).encode() == written[0] else None


def _lost(headers: Any) -> tuple[tuple[str, bytes], ...]:
    written = dict(headers)
    return tuple(
        (name, written[name])
        for name, form in LOST.items()
        if written.get(name) and re.fullmatch(form, written[name])
    )
