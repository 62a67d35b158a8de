"""From Faust's events to the inputs of the core."""

from __future__ import annotations

import re
from typing import Any, Final

from faust.types import EventT

from fraudapp.publishing import ORIGIN
from models.admission import Input, Position

_WRITTEN: Final = re.compile(rb"(?P<topic>.+)/(?P<partition>\d{1,9})/(?P<offset>\d{1,18})")


def input_of(event: EventT[Any]) -> Input:
    """Return what an event of the raw topic of transactions holds."""
    message = event.message
    position = Position(message.topic, message.partition, message.offset)
    origin = _origin(message.headers, message.topic) or position
    return Input(message.key, message.value, position, origin)


def _origin(headers: Any, topic: str) -> Position | None:
    # Written by `send_home`; anything else is somebody's own header of that name.
    match = _WRITTEN.fullmatch(dict(headers or ()).get(ORIGIN) or b"")
    if match is None or match["topic"] != topic.encode():
        return None
    return Position(topic, int(match["partition"]), int(match["offset"]))
