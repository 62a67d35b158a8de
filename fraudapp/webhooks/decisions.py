"""Which records of the decisions topic are events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from aiokafka import ConsumerRecord

from fraudapp.decisions.log_records import log_records
from fraudapp.settings import Settings
from fraudapp.webhooks.events import Event, blocked
from models.records import Outcome

_BLOCK: Final = b'"decision":"BLOCK"'
"""What each decision BLOCK that a worker writes holds; most others need not be decoded."""


def events_of(records: Iterable[ConsumerRecord], settings: Settings) -> list[Event]:
    """Return the events of the decisions BLOCK among records; others are passed over."""
    found = [each for each in records if each.value and _BLOCK in each.value]
    decoded = log_records(found, settings.topic_partitions, settings.transaction_schema)
    return [
        blocked(each.offset, each.decision)
        for each in decoded
        if each.decision.decision is Outcome.BLOCK
    ]
