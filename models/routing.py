"""Routing: tells inputs that are in their key partition from those that must be rerouted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from models.inputs import Input, Rejection, ValidInput
from models.key_hash import key_partitions
from models.parsing import InvalidTransaction
from models.schema.schema import PAYSIM, Schema


@dataclass
class Routed:
    """The inputs of a batch, parsed and routed, but not deduplicated yet."""

    valid: list[ValidInput] = field(default_factory=list)
    """Valid inputs that were read in their key partition."""
    misrouted: list[tuple[ValidInput, int]] = field(default_factory=list)
    """Valid inputs that were read in another partition, each with its key partition."""
    rejected: list[Rejection] = field(default_factory=list)
    """Inputs that are not valid transactions."""


def route(inputs: Sequence[Input], partitions: int, schema: Schema = PAYSIM) -> Routed:
    """Parse inputs of a topic with so many partitions, and compare partition and key partition.

    All inputs with the same id have to meet in one partition, where they are decided one after the
    other. A producer without keys, or with another partitioner than Kafka's default one, writes
    them to any partition.
    """
    routed = Routed()
    valid, parse = [], schema.parser.parse
    for each in inputs:
        try:
            valid.append(ValidInput(parse(each.raw), each))
        except InvalidTransaction as exc:
            routed.rejected.append(Rejection(_as_read(each, partitions), "invalid", str(exc)))
    keyed = key_partitions([found.transaction.transaction_id for found in valid], partitions)
    for found, key_partition in zip(valid, keyed, strict=True):
        if key_partition == found.input.position.partition:
            routed.valid.append(found)
        else:
            as_read = ValidInput(found.transaction, _as_read(found.input, partitions))
            routed.misrouted.append((as_read, key_partition))
    return routed


def _as_read(source: Input, partitions: int) -> Input:
    """Return the input with its own position as origin, unless a worker can have set the origin.

    A producer can forge the header with the origin. A worker reroutes unparsed inputs only from
    partitions beyond those of the decision log. All other inputs that it reroutes are valid and go
    to their key partition, so that an invalid or misrouted input cannot come from a worker.
    """
    if source.origin.partition >= partitions:
        return source
    return Input(source.key, source.raw, source.position, source.position, source.lost)
