"""Deduplication: tells new inputs from duplicates and conflicts, by their transaction ids."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

from models.inputs import Position, Rejection, ValidInput
from models.records import Decision, FieldError, Transaction
from models.schema.stored import is_same


@dataclass
class Deduplicated:
    """The valid inputs of a batch; each of them is in exactly one of the lists."""

    new: list[ValidInput] = field(default_factory=list)
    """Inputs that are to be decided now."""
    redelivered: list[ValidInput] = field(default_factory=list)
    """Decided from this very record, by a worker that crashed before it acknowledged the record."""
    duplicates: list[ValidInput] = field(default_factory=list)
    """The same payload came before in another record, of this batch or an earlier one."""
    rejected: list[Rejection] = field(default_factory=list)
    """Conflicts, and inputs without a score."""

    def reject_unscored(self, unscored: Mapping[str, str]) -> None:
        """Move inputs that have no score to `rejected`; `unscored` has the reasons by id."""
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
    """Compare valid inputs with the decisions that exist under their ids.

    Of several inputs with the same new id, the first is decided. The ids in `elsewhere` were
    decided from an earlier topic with the same name, so that a record at the same position now is
    another record.
    """
    result = Deduplicated()
    first: dict[str, Transaction] = {}
    for each in valid:
        transaction, source = each.transaction, each.input
        stored = decided.get(transaction.transaction_id)
        known = stored.transaction if stored else first.get(transaction.transaction_id)
        if known is None:
            first[transaction.transaction_id] = transaction
            result.new.append(each)
        elif not is_same(known, transaction):
            result.rejected.append(Rejection(source, "conflict", _conflict(known, transaction)))
        elif (
            stored is not None
            and _position(stored) == source.origin
            and transaction.transaction_id not in elsewhere
        ):
            result.redelivered.append(each)
        else:
            result.duplicates.append(each)
    return result


def _position(decision: Decision) -> Position:
    return Position(decision.topic, decision.partition, decision.offset)


def _conflict(known: Transaction, other: Transaction) -> str:
    differing = [
        FieldError(name, f"{getattr(other, name)!r} here, {getattr(known, name)!r} before")
        for name in other.__struct_fields__
        if getattr(other, name) != getattr(known, name)
    ]
    return "another payload under a used transaction_id: " + "; ".join(map(str, differing))
