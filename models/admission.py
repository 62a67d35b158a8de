"""Which inputs are to be decided: neither invalid, nor elsewhere at home, nor decided before."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from msgspec import Struct

from models.key_hash import home_partitions
from models.parsing import InvalidTransaction, parse
from models.records import Decision, FieldError, Transaction


# Structs, not named tuples: one is made in a quarter of the time, and there are three an input.
class Position(Struct, frozen=True, gc=False):
    """Where a message was read."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


class Input(Struct, frozen=True, gc=False):
    """One message as it was read."""

    key: bytes | None
    raw: bytes | None
    position: Position
    """Where it was read."""
    origin: Position
    """Where its producer had put it; another place if it was sent on to its home."""
    lost: tuple[tuple[str, bytes], ...] = ()
    """Size and hash of what its producer had written and is not here, as headers tell it."""


Cause = Literal["invalid", "conflict", "refused", "unscored"]
"""Why an input is a dead letter."""


class Rejection(NamedTuple):
    """An input that ends as a dead letter."""

    input: Input
    reason: Cause
    detail: str


class Candidate(Struct, frozen=True, gc=False):
    """A valid transaction and the input it came in."""

    transaction: Transaction
    input: Input


@dataclass
class Reading:
    """What the messages of a batch are, before anything is known of earlier ones."""

    candidates: list[Candidate] = field(default_factory=list)
    """Valid, and at home in the partition they were read from."""
    misplaced: list[tuple[Candidate, int]] = field(default_factory=list)
    """Valid, and to be sent on to their home partition."""
    rejected: list[Rejection] = field(default_factory=list)
    """No transactions."""


@dataclass
class Admission:
    """What becomes of the candidates of a batch; each of them is in exactly one of the lists."""

    new: list[Candidate] = field(default_factory=list)
    """To be decided now."""
    replayed: list[Candidate] = field(default_factory=list)
    """Decided before, from this very message, by a worker that did not live to acknowledge it."""
    repeated: list[Candidate] = field(default_factory=list)
    """Decided before, or a moment ago in this batch, from another message with the same payload."""
    rejected: list[Rejection] = field(default_factory=list)
    """Another payload under a used id, or no score."""

    def leave_out(self, unscored: Mapping[str, str]) -> None:
        """Reject what is not decided after all; `unscored` says why, by id."""
        for each in (*self.new, *self.repeated):
            if why := unscored.get(each.transaction.transaction_id):
                self.rejected.append(Rejection(each.input, "unscored", why))
        self.new = [each for each in self.new if each.transaction.transaction_id not in unscored]
        self.repeated = [
            each for each in self.repeated if each.transaction.transaction_id not in unscored
        ]


def read(inputs: Sequence[Input], partitions: int) -> Reading:
    """Parse each input of a topic with so many partitions.

    All messages under one id have to meet in one partition, to be decided one after the other. A
    producer that uses no key, or another partitioner than Kafka's own, puts them anywhere.
    """
    reading = Reading()
    valid = []
    for each in inputs:
        try:
            valid.append(Candidate(parse(each.raw), each))
        except InvalidTransaction as exc:
            reading.rejected.append(Rejection(_as_read(each, partitions), "invalid", str(exc)))
    homes = home_partitions([each.transaction.transaction_id for each in valid], partitions)
    for candidate, home in zip(valid, homes, strict=True):
        if home == candidate.input.position.partition:
            reading.candidates.append(candidate)
        else:
            found = Candidate(candidate.transaction, _as_read(candidate.input, partitions))
            reading.misplaced.append((found, home))
    return reading


def _as_read(source: Input, partitions: int) -> Input:
    """The input without an origin that only its producer can have claimed.

    What a worker sends on as it is comes from a partition beyond those that have homes; anything
    else was a transaction, and went to its home partition.
    """
    if source.origin.partition >= partitions:
        return source
    return Input(source.key, source.raw, source.position, source.position, source.lost)


def admit(
    candidates: Iterable[Candidate],
    decided: Mapping[str, Decision],
    elsewhere: Container[str] = (),
) -> Admission:
    """Sort candidates by what is already `decided` under their ids.

    Of several candidates under one new id, the first is decided. Those of `elsewhere` were decided
    from another topic of that name: what is at the same position here is another message.
    """
    admission = Admission()
    first: dict[str, Transaction] = {}
    for candidate in candidates:
        transaction, source = candidate.transaction, candidate.input
        stored = decided.get(transaction.transaction_id)
        known = stored.transaction if stored else first.get(transaction.transaction_id)
        if known is None:
            first[transaction.transaction_id] = transaction
            admission.new.append(candidate)
        elif known != transaction:
            admission.rejected.append(Rejection(source, "conflict", _conflict(known, transaction)))
        elif (
            stored is not None
            and _position(stored) == source.origin
            and transaction.transaction_id not in elsewhere
        ):
            admission.replayed.append(candidate)
        else:
            admission.repeated.append(candidate)
    return admission


def _position(decision: Decision) -> Position:
    return Position(decision.topic, decision.partition, decision.offset)


def _conflict(known: Transaction, other: Transaction) -> str:
    differing = [
        FieldError(name, f"{getattr(other, name)!r} here, {getattr(known, name)!r} before")
        for name in Transaction.__struct_fields__
        if getattr(other, name) != getattr(known, name)
    ]
    return "another payload under a used transaction_id: " + "; ".join(map(str, differing))
