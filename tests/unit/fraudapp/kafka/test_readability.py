"""A transaction is reported once it is open for longer than producers may have one open."""

from __future__ import annotations

from aiokafka import TopicPartition

from fraudapp.kafka.offsets import End
from fraudapp.kafka.readability import MAX_OPEN_TRANSACTION_SECONDS, OpenTransactions

OPEN_FOR = MAX_OPEN_TRANSACTION_SECONDS
ONE, OTHER = TopicPartition("transactions", 1), TopicPartition("transactions", 2)


def test_an_overdue_transaction_is_reported_with_its_first_offset_until_it_ends() -> None:
    transactions = OpenTransactions()
    assert transactions.overdue({OTHER: End(7, 7), ONE: End(9, 5)}, 100.0) is None
    assert transactions.overdue({OTHER: End(8, 8), ONE: End(12, 5)}, 99.0 + OPEN_FOR) is None
    for _ in range(2):
        found = transactions.overdue({OTHER: End(8, 8), ONE: End(12, 5)}, 100.0 + OPEN_FOR)
        assert "transactions/1/5 belongs to a transaction" in str(found)
    assert transactions.overdue({OTHER: End(8, 8), ONE: End(13, 13)}, 101.0 + OPEN_FOR) is None


def test_transactions_that_end_one_after_another_are_not_overdue() -> None:
    transactions = OpenTransactions()
    for turn in range(10):
        ends = {ONE: End(2 * turn + 2, 2 * turn)}
        assert transactions.overdue(ends, turn * OPEN_FOR / 2) is None


def test_time_before_a_transaction_begins_does_not_count() -> None:
    transactions = OpenTransactions()
    assert transactions.overdue({ONE: End(5, 5)}, 0.0) is None
    assert transactions.overdue({ONE: End(5, 5)}, 10 * OPEN_FOR) is None
    assert transactions.overdue({ONE: End(6, 5)}, 10 * OPEN_FOR + 1) is None
