"""What a correct system makes of the input topic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from models.parsing import InvalidTransaction
from models.records import Transaction
from models.schema.schema import PAYSIM
from tests.torture.reading import Record
from tests.torture.written import Written

Source = tuple[int, int]
"""Partition and offset of an input."""


class Expected:
    """The outcome that each committed message has to have."""

    def __init__(self, inputs: Iterable[Record], written: Written) -> None:
        self.payloads: dict[str, list[Transaction]] = {}
        """Valid transactions under each id."""
        self.valid: dict[Source, Transaction] = {}
        self.records: dict[Source, Record] = {}
        """Inputs, without the copies that workers have rerouted."""
        for each in inputs:
            if written.is_copy(each):
                continue
            source = each.partition, each.offset
            self.records[source] = each
            try:
                transaction = PAYSIM.parser.parse(each.value)
            except InvalidTransaction:
                continue
            self.valid[source] = transaction
            known = self.payloads.setdefault(transaction.transaction_id, [])
            if transaction not in known:
                known.append(transaction)

    def dead_letters(self, decided: Mapping[str, Transaction]) -> dict[Source, str]:
        """The reason of each dead letter to expect, given the payload decided under each id."""
        conflicts = {
            source: "conflict"
            for source, transaction in self.valid.items()
            if decided.get(transaction.transaction_id, transaction) != transaction
        }
        invalid = dict.fromkeys(self.records.keys() - self.valid.keys(), "invalid")
        return conflicts | invalid

    def duplicates(self, decided: Mapping[str, Transaction]) -> int:
        """How many messages were sent again with the payload that was decided."""
        same = [
            each.transaction_id
            for each in self.valid.values()
            if decided.get(each.transaction_id) == each
        ]
        return len(same) - len(set(same))
