"""Routing: tells labels that are in their key partition from those that must be rerouted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from models.inputs import Input, Rejection
from models.key_hash import key_partitions
from models.labels.joining import Told
from models.labels.parsing import InvalidLabel, parse


@dataclass
class Routed:
    """Records of one partition of the topic of labels, parsed and routed."""

    told: list[Told] = field(default_factory=list)
    """Labels that were read in their key partition."""
    misrouted: list[tuple[Input, int]] = field(default_factory=list)
    """Labels that were read in another partition, each with its key partition."""
    rejected: list[Rejection] = field(default_factory=list)
    """Records that are not valid labels."""


def route(records: Sequence[tuple[Input, int]], partitions: int) -> Routed:
    """Parse records, each with when it was written, and compare partition and key partition.

    All labels with the same id have to meet in one partition, where the decision on it is.
    """
    routed, valid = Routed(), []
    for source, written_at in records:
        try:
            valid.append(Told(parse(source.raw), source, written_at))
        except InvalidLabel as exc:
            routed.rejected.append(Rejection(_as_read(source), "invalid", str(exc)))
    keyed = key_partitions([each.label.transaction_id for each in valid], partitions)
    for each, key_partition in zip(valid, keyed, strict=True):
        if key_partition == each.input.position.partition:
            routed.told.append(each)
        else:
            routed.misrouted.append((_as_read(each.input), key_partition))
    return routed


def _as_read(source: Input) -> Input:
    """Return the input with its own position as origin.

    A worker sends on only valid labels, and to their key partition. So an origin that comes with
    any other is forged.
    """
    return Input(source.key, source.raw, source.position, source.position, source.lost)
