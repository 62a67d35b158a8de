"""The commit never passes a message that is not acknowledged."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from faust.transport import consumer
from faust.transport.drivers import aiokafka
from faust.types import TP, ConsumerMessage
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.transport import SafeConsumer, SafeTransport

PARTITION = TP("transactions", 0)


def message(offset: int) -> ConsumerMessage:
    return ConsumerMessage(
        "transactions", 0, offset, 0.0, 0, {}, b"", b"", None, tp=PARTITION, generation_id=1
    )


class Books(SafeConsumer):
    """The consumer's books, with Faust's own acknowledgement below, without a broker."""

    def __init__(self, fetched: list[list[int]]) -> None:
        topics = SimpleNamespace(acks_enabled_for=lambda topic: topic == "transactions")
        self.app: Any = SimpleNamespace(topics=topics)
        self._acked = defaultdict(list)
        self._acked_index = defaultdict(set)
        self._unacked_messages = set()
        self._committed_offset = defaultdict(lambda: None)
        self._waiting_for_ack = None
        self._n_acked = 0
        self._fetched = fetched
        self.on_init()

    async def deliver(self) -> list[ConsumerMessage]:
        return [each async for _, each in self.getmany(1.0)]  # type: ignore[misc]


@pytest.fixture(autouse=True)
def _faust_fetches_what_the_test_says(monkeypatch: pytest.MonkeyPatch) -> None:
    async def getmany(self: Books, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        for offset in self._fetched.pop(0):
            yield PARTITION, message(offset)

    async def perform_seek(self: Books) -> None:
        pass

    monkeypatch.setattr(consumer.Consumer, "getmany", getmany)
    monkeypatch.setattr(consumer.Consumer, "perform_seek", perform_seek)


# Offsets as a topic gives them: increasing, with holes where compaction or transactions left them.
offsets = st.sets(st.integers(0, 60), min_size=1, max_size=30).map(sorted)


@given(log=offsets, data=st.data())
async def test_in_any_order_of_acknowledgement_no_commit_passes_an_open_message(
    log: list[int], data: st.DataObject
) -> None:
    books = Books([log])
    delivered = await books.deliver()
    committed = 0
    while delivered:
        assert books.ack(delivered.pop(data.draw(st.integers(0, len(delivered) - 1))))
        if data.draw(st.booleans()):
            offset = books._new_offset(PARTITION)
            assert offset is not None
            assert all(each.offset >= offset for each in delivered)
            committed = max(committed, offset)
    assert max(committed, books._new_offset(PARTITION) or 0) == log[-1] + 1


@given(data=st.data())
async def test_whatever_was_delivered_before_a_seek_commits_nothing_after_it(
    data: st.DataObject,
) -> None:
    books = Books([list(range(10)), list(range(10))])
    before = await books.deliver()
    for each in before[: data.draw(st.integers(0, 10))]:
        books.ack(each)
    await books.perform_seek()
    late = data.draw(st.lists(st.sampled_from(before), unique=True))
    for each in late:
        books.ack(each)
    assert books._new_offset(PARTITION) is None
    after = await books.deliver()
    for each in before:
        books.ack(each)
    assert books._new_offset(PARTITION) is None
    for number, each in enumerate(after):
        books.ack(each)
        assert books._new_offset(PARTITION) == number + 1


async def test_what_was_fetched_while_a_seek_went_on_is_left_and_fetched_again() -> None:
    books = Books([[7, 8, 9], [0, 1]])
    fetch = books.getmany(1.0)
    assert (await fetch.__anext__())[1].offset == 7
    await books.perform_seek()
    before = books._seeks
    assert [each async for each in fetch] == []
    # It may have been fetched after the seek, so without another one it would never come again.
    assert books._seeks > before
    assert [each.offset for each in await books.deliver()] == [0, 1]


async def test_a_message_that_faust_skipped_holds_the_commit_until_it_comes_again() -> None:
    books = Books([[0, 1, 2, 3], [0, 1]])
    *_, last = await books.deliver()
    books.ack(last)  # the others were dropped on their way, as Faust does in a rebalance
    assert books._new_offset(PARTITION) == 0


def test_faust_may_not_drop_what_it_takes_for_read() -> None:
    books = Books([])
    other = TP("changelog", 0)
    for tp in (PARTITION, other):
        books._read_offset[tp] = 9
    assert books._read_offset[PARTITION] is None
    assert books._read_offset[other] == 9


def test_nothing_acknowledged_is_nothing_to_commit() -> None:
    assert Books([])._new_offset(PARTITION) is None


def test_faust_still_has_the_private_names_this_leans_on() -> None:
    assert SafeTransport.Consumer is SafeConsumer
    source = inspect.getsource(consumer.Consumer)
    for name in ("_acked_index", "_unacked_messages", "_acked", "perform_seek", "self.on_init()"):
        assert name in source, f"Faust has changed: {name} is gone; see fraudapp/transport.py"
    assert list(inspect.signature(consumer.Consumer._new_offset).parameters) == ["self", "tp"]
    assert "self._new_offset(tp)" in source
    assert "await self._add_gap(tp" in source
    assert "getmany = self.getmany" in source
    assert "get_read_offset = self._read_offset.__getitem__" in source
    assert hasattr(aiokafka.Consumer, "_new_consumer_thread")
    assert "fetch_max_wait_ms" in inspect.getsource(
        aiokafka.AIOKafkaConsumerThread._create_worker_consumer
    )
    assert "fetch_max_wait_ms=self._fetch_max_wait_ms" in inspect.getsource(AIOKafkaConsumer.start)
