"""Which inputs are to be decided: neither invalid, nor decided before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from models.parsing import InvalidTransaction, parse
from models.records import Decision, FieldError, Transaction


class Position(NamedTuple):
    """Where a message was read."""

    topic: str
    partition: int
    offset: int


class Input(NamedTuple):
    """One message as it was read."""

    key: bytes | None
    raw: bytes | None
    position: Position


class Rejection(NamedTuple):
    """An input that ends as a dead letter."""

    input: Input
    reason: Literal["invalid", "conflict"]
    detail: str


class Candidate(NamedTuple):
    """A valid transaction and the input it came in."""

    transaction: Transaction
    input: Input


@dataclass
class Admission:
    """What becomes of each input of a batch; every input is in exactly one of the lists."""

    new: list[Candidate] = field(default_factory=list)
    """To be decided now."""
    replayed: list[Decision] = field(default_factory=list)
    """Decided before, from this very message: kept and counted again, which is harmless."""
    repeated: list[Candidate] = field(default_factory=list)
    """Decided before, or a moment ago in this batch, from another message with the same payload."""
    rejected: list[Rejection] = field(default_factory=list)
    """Invalid, or another payload under a used id."""


def read(inputs: Iterable[Input]) -> tuple[list[Candidate], list[Rejection]]:
    """Parse each input: what is valid, and what is not with the reasons."""
    candidates, rejected = [], []
    for each in inputs:
        try:
            candidates.append(Candidate(parse(each.raw), each))
        except InvalidTransaction as exc:
            rejected.append(Rejection(each, "invalid", str(exc)))
    return candidates, rejected


def admit(candidates: Iterable[Candidate], decided: Mapping[str, Decision]) -> Admission:
    """Sort candidates by what is already `decided` under their ids (stored decisions by id).

    Of several candidates under one new id, the first is decided.
    """
    admission = Admission()
    first: dict[str, Transaction] = {}
    for candidate in candidates:
        transaction, source = candidate
        stored = decided.get(transaction.transaction_id)
        if stored is not None and _position(stored) == source.position:
            admission.replayed.append(stored)
            continue
        known = stored.transaction if stored else first.get(transaction.transaction_id)
        if known is None:
            first[transaction.transaction_id] = transaction
            admission.new.append(candidate)
        elif known == transaction:
            admission.repeated.append(candidate)
        else:
            admission.rejected.append(Rejection(source, "conflict", _conflict(known, transaction)))
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
