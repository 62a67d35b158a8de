"""A transaction that stays open is told once it can be none that goes well."""

from __future__ import annotations

from aiokafka import TopicPartition

from fraudapp.kafka.offsets import End
from fraudapp.kafka.readability import OPEN_FOR, Standstills

ONE, OTHER = TopicPartition("transactions", 1), TopicPartition("transactions", 2)


def test_it_is_told_where_it_begins_as_long_as_it_is_open() -> None:
    standstills = Standstills()
    assert standstills.look({OTHER: End(7, 7), ONE: End(9, 5)}, 100.0) is None
    assert standstills.look({OTHER: End(8, 8), ONE: End(12, 5)}, 99.0 + OPEN_FOR) is None
    for _ in range(2):
        told = standstills.look({OTHER: End(8, 8), ONE: End(12, 5)}, 100.0 + OPEN_FOR)
        assert "transactions/1/5 belongs to a transaction" in str(told)
    assert standstills.look({OTHER: End(8, 8), ONE: End(13, 13)}, 101.0 + OPEN_FOR) is None


def test_transactions_that_end_one_after_another_are_no_standstill() -> None:
    standstills = Standstills()
    for turn in range(10):
        found = {ONE: End(2 * turn + 2, 2 * turn)}
        assert standstills.look(found, turn * OPEN_FOR / 2) is None


def test_what_was_read_to_its_end_for_long_is_none_when_a_transaction_begins() -> None:
    standstills = Standstills()
    assert standstills.look({ONE: End(5, 5)}, 0.0) is None
    assert standstills.look({ONE: End(5, 5)}, 10 * OPEN_FOR) is None
    assert standstills.look({ONE: End(6, 5)}, 10 * OPEN_FOR + 1) is None
