"""From records of Kafka to the inputs of the core."""

from __future__ import annotations

import re
from typing import Any, Final

from aiokafka import ConsumerRecord

from fraudapp.publishing import ORIGIN
from models.admission import Input, Position

_WRITTEN: Final = re.compile(rb"(?P<topic>.+)/(?P<partition>\d{1,9})/(?P<offset>\d{1,18})")


def input_of(record: ConsumerRecord) -> Input:
    """Return what a record of the topic of transactions holds."""
    position = Position(record.topic, record.partition, record.offset)
    origin = (_origin(record.headers, record.topic) if record.headers else None) or position
    return Input(record.key, record.value, position, origin)


def _origin(headers: Any, topic: str) -> Position | None:
    # Written by `send_home`; anything else is somebody's own header of that name.
    match = _WRITTEN.fullmatch(dict(headers).get(ORIGIN) or b"")
    if match is None or match["topic"] != topic.encode():
        return None
    return Position(topic, int(match["partition"]), int(match["offset"]))
