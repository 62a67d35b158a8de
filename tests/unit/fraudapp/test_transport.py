"""The commit never passes a message that is not acknowledged."""

from __future__ import annotations

import inspect
from collections import defaultdict
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer
from faust.transport import consumer
from faust.transport.drivers import aiokafka
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.transport import SafeConsumer, SafeTransport

PARTITION = TP("transactions", 0)


@dataclass(eq=False)
class Delivered:
    """As much of Faust's message as the consumer looks at."""

    offset: int
    tp: TP = PARTITION
    acked: bool = False


class Consumer(SafeConsumer):
    """The consumer's books, without a broker."""

    def __init__(self) -> None:
        self._acked = defaultdict(list)
        self._acked_index = defaultdict(set)
        self._unacked_messages = set()

    def deliver(self, offset: int) -> Delivered:
        message = Delivered(offset)
        self._unacked_messages.add(message)  # type: ignore[arg-type]
        return message

    def acknowledge(self, message: Delivered) -> None:
        message.acked = True
        self._unacked_messages.discard(message)  # type: ignore[arg-type]
        if message.offset not in self._acked_index[message.tp]:
            self._acked_index[message.tp].add(message.offset)
            self._acked[message.tp].append(message.offset)


# Offsets as a topic gives them: increasing, with holes where compaction or transactions left them.
offsets = st.sets(st.integers(0, 60), min_size=1, max_size=30).map(sorted)


@given(offsets, st.randoms(), st.data())
def test_in_any_order_of_acknowledgement_no_commit_passes_an_open_message(
    log: list[int], random: object, data: st.DataObject
) -> None:
    books = Consumer()
    open_messages = [books.deliver(offset) for offset in log]
    committed = 0
    while open_messages:
        index = data.draw(st.integers(0, len(open_messages) - 1))
        books.acknowledge(open_messages.pop(index))
        if data.draw(st.booleans()):
            offset = books._new_offset(PARTITION)
            if offset is not None:
                assert all(message.offset >= offset for message in open_messages)
                committed = max(committed, offset)
    last = books._new_offset(PARTITION)
    assert max(committed, last or 0) == log[-1] + 1


def test_nothing_acknowledged_is_nothing_to_commit() -> None:
    books = Consumer()
    first, second = books.deliver(0), books.deliver(1)
    assert books._new_offset(PARTITION) is None
    books.acknowledge(second)
    assert books._new_offset(PARTITION) is None
    books.acknowledge(first)
    assert books._new_offset(PARTITION) == 2
    assert books._new_offset(PARTITION) is None


async def test_offsets_that_never_arrive_are_not_taken_for_acknowledged() -> None:
    books = Consumer()
    await books._add_gap(PARTITION, 0, 10)
    assert books._new_offset(PARTITION) is None


def test_faust_still_has_the_private_names_this_leans_on() -> None:
    assert SafeTransport.Consumer is SafeConsumer
    source = inspect.getsource(consumer.Consumer)
    for name in ("_new_offset", "_add_gap", "_acked_index", "_unacked_messages", "_acked"):
        assert name in source, f"Faust has changed: {name} is gone; see fraudapp/transport.py"
    assert list(inspect.signature(consumer.Consumer._new_offset).parameters) == ["self", "tp"]
    assert "self._new_offset(tp)" in source
    assert hasattr(aiokafka.Consumer, "_new_consumer_thread")
    assert "fetch_max_wait_ms" in inspect.getsource(
        aiokafka.AIOKafkaConsumerThread._create_worker_consumer
    )
    assert "fetch_max_wait_ms=self._fetch_max_wait_ms" in inspect.getsource(AIOKafkaConsumer.start)
    assert "await self._add_gap(tp" in source
