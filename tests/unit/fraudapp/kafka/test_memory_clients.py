"""The clients in memory are called as those of aiokafka are, and the consumer reads as they do."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from tests.support.memory import MemoryBroker
from tests.support.memory_clients import MemoryAdmin, MemoryConsumer

PAIRS: dict[type[Any], type[Any]] = {
    MemoryConsumer: AIOKafkaConsumer,
    MemoryAdmin: AIOKafkaAdminClient,
}
OWN = {"delivered", "ends"}
"""The methods that only tests call."""
TP = TopicPartition("topic", 0)


@pytest.mark.parametrize("fake", PAIRS, ids=lambda fake: fake.__name__)
def test_each_method_is_called_as_that_of_aiokafka(fake: type[Any]) -> None:
    names = [name for name in vars(fake) if name[0] != "_" and name not in OWN]
    assert names
    for name in names:
        ours, theirs = getattr(fake, name), getattr(PAIRS[fake], name)
        assert inspect.iscoroutinefunction(ours) == inspect.iscoroutinefunction(theirs), name
        parameters = inspect.signature(theirs).parameters
        for parameter in inspect.signature(ours).parameters.values():
            assert parameters[parameter.name].kind == parameter.kind, (name, parameter)


async def test_a_consumer_reads_on_from_its_position_and_leaves_out_what_is_paused() -> None:
    broker = MemoryBroker({"topic": 1})
    for value in (b"a", b"b", b"c", b"d"):
        broker.put("topic", 0, value)
    consumer = MemoryConsumer(broker)
    consumer.hidden.add((TP, 2))
    consumer.assign([TP])
    consumer.seek(TP, 1)
    found = await consumer.getmany(TP, max_records=2)
    assert [each.value for each in found[TP]] == [b"b"]
    assert await consumer.position(TP) == 3
    consumer.pause(TP)
    polling = asyncio.create_task(consumer.getmany())
    await asyncio.sleep(0)  # the task goes on until it has to wait
    assert not polling.done()
    consumer.resume(TP)
    consumer._wake.set()
    assert [each.value for each in (await polling)[TP]] == [b"d"]
