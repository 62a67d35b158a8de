"""Which inputs are decided in the partition where they were read, and which are rerouted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from models.inputs import Input, Rejection, ValidInput
from models.key_hash import key_partitions
from models.parsing import InvalidTransaction, parse


@dataclass
class Routed:
    """The inputs of a batch, before anything is known of earlier ones."""

    valid: list[ValidInput] = field(default_factory=list)
    """Read in their key partition."""
    misrouted: list[tuple[ValidInput, int]] = field(default_factory=list)
    """Read elsewhere, with their key partition, to which they are rerouted."""
    rejected: list[Rejection] = field(default_factory=list)
    """No transactions."""


def route(inputs: Sequence[Input], partitions: int) -> Routed:
    """Parse each input of a topic with so many partitions, and compare where it was read.

    All inputs under one id have to meet in one partition, to be decided one after the other. A
    producer that uses no key, or another partitioner than Kafka's own, puts them anywhere.
    """
    routed = Routed()
    valid = []
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
    """Return the input without an origin that only its producer can have claimed.

    A worker sends an input on unparsed only from a partition beyond those of the decision log.
    Whatever else it rerouted was a valid transaction, and went to its key partition.
    """
    if source.origin.partition >= partitions:
        return source
    return Input(source.key, source.raw, source.position, source.position, source.lost)
