"""Turns records of the labelled topic into labelled decisions.

Anybody with access can write to the topic. Only records that a worker can have written count.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from aiokafka import ConsumerRecord

from fraudapp.decisions.log_records import log_records
from fraudapp.kafka.foreign_records import report_foreign_record
from models.labels.records import Labelled, labelled, parts
from models.parsing import UNREADABLE
from models.schema.schema import Schema


class LabelledRecord(NamedTuple):
    """A labelled decision, and its place in the topic."""

    partition: int
    offset: int
    written_at: int
    """By the broker's clock, milliseconds since 1970."""
    labelled: Labelled
    encoded: bytes
    """Its JSON."""


def labelled_records(
    raw: Iterable[ConsumerRecord], partitions: int, schema: Schema
) -> list[LabelledRecord]:
    """Return the labelled decisions among records of one partition, of a topic with so many.

    A record that a worker wrote holds a decision that is like those of `log_records`, and labels
    from which its effective label follows. All others are skipped, with a log message.
    """
    found = {}
    decisions = []
    for each in raw:
        try:
            labels, decision = parts(each.value or b"")
        except UNREADABLE as exc:
            why = f"it is no labelled decision: {exc}"
            report_foreign_record(each.topic, each.partition, each.offset, why)
            continue
        found[each.offset] = each, labels
        decisions.append(replace(each, value=decision))
    return [
        LabelledRecord(
            record.partition,
            record.offset,
            record.timestamp,
            labelled(each.decision, labels),
            record.value,
        )
        for each in log_records(decisions, partitions, schema)
        for record, labels in [found[each.offset]]
    ]
