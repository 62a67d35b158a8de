"""Which inputs are new, and which are duplicates of, or conflict with, what was decided before."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

from models.inputs import Position, Rejection, ValidInput
from models.records import Decision, FieldError, Transaction


@dataclass
class Deduplicated:
    """What becomes of the valid inputs of a batch; each of them is in exactly one of the lists."""

    new: list[ValidInput] = field(default_factory=list)
    """To be decided now."""
    redelivered: list[ValidInput] = field(default_factory=list)
    """Decided before, from this very record, by a worker that did not live to acknowledge it."""
    duplicates: list[ValidInput] = field(default_factory=list)
    """Decided before, or a moment ago in this batch, from another record with the same payload."""
    rejected: list[Rejection] = field(default_factory=list)
    """Another payload under a used id, or no score."""

    def reject_unscored(self, unscored: Mapping[str, str]) -> None:
        """Reject inputs that have no score; `unscored` says why, by id."""
        for each in (*self.new, *self.duplicates):
            if why := unscored.get(each.transaction.transaction_id):
                self.rejected.append(Rejection(each.input, "unscored", why))
        self.new = [each for each in self.new if each.transaction.transaction_id not in unscored]
        self.duplicates = [
            each for each in self.duplicates if each.transaction.transaction_id not in unscored
        ]


def deduplicate(
    valid: Iterable[ValidInput],
    decided: Mapping[str, Decision],
    elsewhere: Container[str] = (),
) -> Deduplicated:
    """Sort valid inputs by what is already `decided` under their ids.

    Of several inputs under one new id, the first is decided. The ids of `elsewhere` were decided
    from another topic of that name: a record at the same position of this one is another record.
    """
    sorted_ = Deduplicated()
    first: dict[str, Transaction] = {}
    for each in valid:
        transaction, source = each.transaction, each.input
        stored = decided.get(transaction.transaction_id)
        known = stored.transaction if stored else first.get(transaction.transaction_id)
        if known is None:
            first[transaction.transaction_id] = transaction
            sorted_.new.append(each)
        elif known != transaction:
            sorted_.rejected.append(Rejection(source, "conflict", _conflict(known, transaction)))
        elif (
            stored is not None
            and _position(stored) == source.origin
            and transaction.transaction_id not in elsewhere
        ):
            sorted_.redelivered.append(each)
        else:
            sorted_.duplicates.append(each)
    return sorted_


def _position(decision: Decision) -> Position:
    return Position(decision.topic, decision.partition, decision.offset)


def _conflict(known: Transaction, other: Transaction) -> str:
    differing = [
        FieldError(name, f"{getattr(other, name)!r} here, {getattr(known, name)!r} before")
        for name in Transaction.__struct_fields__
        if getattr(other, name) != getattr(known, name)
    ]
    return "another payload under a used transaction_id: " + "; ".join(map(str, differing))
