"""All records that we have written are read, in their order; what is lost is noticed."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from fraudapp.control import reader as module
from fraudapp.control.reader import ControlReader, RecordsLost, read_all, reading
from fraudapp.settings import Settings, load
from models.control.records import ControlRecord, Listed, ListKey, Removed, entry
from models.parsing import Damaged, Unread
from tests.support.memory import MemoryBroker
from tests.support.memory_clients import MemoryConsumer

PARTITION = TopicPartition("control", 0)
KEY, VALUE, _ = entry("mules", "C1", Listed(author="ann"))


class Bench:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.broker = MemoryBroker({PARTITION.topic: 1})
        self.settings: Settings = load({})
        self.consumer = MemoryConsumer(self.broker)
        self.options: list[dict[str, Any]] = []
        monkeypatch.setattr(module, "ends", self.consumer.ends)
        monkeypatch.setattr(module, "new_consumer", self._consumer)
        self.reader = ControlReader(self.settings)

    def _consumer(self, settings: Settings, **options: Any) -> MemoryConsumer:
        self.options.append(options)
        return self.consumer

    def put(self, key: bytes | None = KEY, value: bytes | None = VALUE, *headers: Any) -> None:
        self.broker.put(PARTITION.topic, 0, value, key, headers)

    async def all(self) -> list[ControlRecord]:
        found: list[ControlRecord] = []
        await self.reader.read_to(await self.reader.end(), found.append)
        return found


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(monkeypatch)
    await bench.reader.start()
    return bench


async def test_records_that_are_not_ours_are_skipped_and_those_behind_them_read(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.put()
    bench.put(None, None)
    bench.put(KEY, Unread(b'{"author":"a', 1 << 30))
    bench.put(None, Damaged(b"", None))
    bench.put(b"\xff", b"\x1b[2J")
    bench.put(KEY, None, ("author", None), ("note", b"\xff"))
    found = await bench.all()
    assert [(each.offset, each.key) for each in found] == [
        (0, ListKey("mules", "C1")),
        (5, ListKey("mules", "C1")),
    ]
    assert found[1].value == Removed(author="unknown", note="\ufffd")
    assert (bench.reader.next_offset, caplog.text.count("skipped foreign record")) == (6, 4)


async def test_the_end_is_reached_although_its_offsets_hold_no_records(bench: Bench) -> None:
    for _ in range(3):
        bench.put()
    bench.consumer.hidden |= {(PARTITION, 1), (PARTITION, 2)}
    assert [each.offset for each in await bench.all()] == [0]
    assert bench.reader.next_offset == 3


async def test_what_follows_is_polled_in_parts_of_some_milliseconds(bench: Bench) -> None:
    assert bench.options[0]["max_poll_records"] == module.MAX_POLL_RECORDS
    assert bench.options[0]["isolation_level"] == "read_uncommitted"


async def test_records_that_a_broker_has_lost_are_noticed_with_what_to_do(bench: Bench) -> None:
    for _ in range(3):
        bench.put()
    await bench.all()
    bench.consumer.seek(PARTITION, 1)  # as aiokafka does if the topic is shorter than it was
    with pytest.raises(
        RecordsLost, match=r"was read up to offset 3.*from 1 on\. Start this worker"
    ):
        await bench.reader.more()
    bench.consumer.seek(PARTITION, 1)
    with pytest.raises(RecordsLost):
        await bench.reader.taken([])


async def test_a_failure_to_read_loses_nothing(bench: Bench) -> None:
    bench.put()
    bench.put()
    bench.consumer.failures.append(KafkaError("down"))
    with pytest.raises(KafkaError):
        await bench.all()
    assert [each.offset for each in await bench.all()] == [0, 1]


async def test_all_is_read_once_and_the_reader_disconnects(bench: Bench) -> None:
    bench.put()
    bench.put(value=b"no record")
    bench.put()
    found: list[ControlRecord] = []
    await read_all(bench.settings, found.append)
    assert [each.offset for each in found] == [0, 2]
    assert not bench.consumer.running


async def test_a_reader_for_a_while_disconnects_also_when_it_could_not_connect(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with reading(bench.settings) as reader:
        assert await reader.end() == 0
        assert bench.consumer.running
    assert not bench.consumer.running

    async def refused() -> None:
        bench.consumer.running = True
        raise KafkaError("refused")

    monkeypatch.setattr(bench.consumer, "start", refused)
    with pytest.raises(KafkaError):
        async with reading(bench.settings):
            raise AssertionError
    assert not bench.consumer.running
