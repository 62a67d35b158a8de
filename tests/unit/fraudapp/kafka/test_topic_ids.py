"""Topic ids in commits, and in requests and responses on the wire."""

from __future__ import annotations

from io import BytesIO
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.structs import OffsetAndMetadata
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.kafka.fetch_by_id import FetchById, _Fetch, _FetchResponse
from fraudapp.kafka.topic_ids import committed, from_bytes, same, to_bytes, topic_ids

ID = from_bytes(bytes(range(16)))
OTHER = from_bytes(bytes(range(1, 17)))


@given(st.binary(min_size=16, max_size=16).filter(any))
def test_ids_are_printed_as_kafka_does_and_read_again(raw: bytes) -> None:
    assert len(from_bytes(raw)) == 22
    assert to_bytes(from_bytes(raw)) == raw


def test_topics_are_distinguished_where_both_have_ids() -> None:
    assert from_bytes(bytes(16)) == ""
    assert same(ID, ID)
    assert not same(ID, OTHER)
    assert same("", ID)
    assert same(ID, "")


async def test_offsets_committed_for_an_earlier_topic_are_left_out() -> None:
    commits = {
        TopicPartition("t", 0): OffsetAndMetadata(5, ID),
        TopicPartition("t", 1): OffsetAndMetadata(6, OTHER),
        TopicPartition("t", 2): OffsetAndMetadata(7, ""),
        TopicPartition("u", 0): OffsetAndMetadata(8, OTHER),
        TopicPartition("t", 3): OffsetAndMetadata(-1, ID),
    }

    async def fetch(partitions: list[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata]:
        return commits

    consumer: Any = SimpleNamespace(_coordinator=SimpleNamespace(fetch_committed_offsets=fetch))
    found = await committed(consumer, [*commits, TopicPartition("t", 9)], {"t": ID})
    assert {(each.topic, each.partition): offset for each, offset in found.items()} == {
        ("t", 0): 5,
        ("t", 2): 7,
        ("u", 0): 8,
    }


class Broker:
    """Answers as a broker of these API versions does, with these error codes by partition."""

    def __init__(self, versions: dict[int, tuple[int, int]], *codes: int) -> None:
        self.versions = versions
        self.codes = codes
        self.asked: list[Any] = []

    def get_random_node(self) -> int:
        return 1

    async def send(self, node: int, request: Any) -> Any:
        struct = request.prepare(self.versions)
        self.asked.append(struct)
        if struct.API_VERSION < 13:
            return SimpleNamespace(API_VERSION=struct.API_VERSION, topics=[])
        assert type(struct).decode(struct.encode()) == struct
        partitions: list[Any] = [
            (partition, code, 9, 8, 0, [(3, 4, {})], -1, b"records", {})
            for partition, code in enumerate(self.codes)
        ]
        topics: list[Any] = [(raw, partitions, {}) for raw, *_ in struct.topics]
        answer = _FetchResponse(0, 0, 0, topics, {})
        return _FetchResponse.decode(BytesIO(answer.encode()))


def fetch(*topics: str) -> FetchRequest:
    return FetchRequest(1, 2, 3, 1, [(topic, [(0, 5, 100)]) for topic in topics])


async def test_a_broker_without_topic_ids_gets_fetches_by_name() -> None:
    old: Any = Broker({1: (0, 12), 3: (0, 9)})
    assert await topic_ids(old, ["t"]) == {"t": ""}
    await FetchById(old, {"t": ""}).send(1, fetch("t"))
    await FetchById(old, {"t": ID}).send(1, fetch("t"))
    assert [each.API_VERSION for each in old.asked] == [11, 11]


async def test_the_response_to_a_fetch_by_id_has_the_form_that_aiokafka_knows() -> None:
    broker: Any = Broker({1: (4, 17)}, 0, 100, 103, 1)
    answer = await FetchById(broker, {"t": ID}).send(1, fetch("t"))
    assert broker.asked[0].topics == [(to_bytes(ID), [(0, -1, 5, -1, -1, 100, {})], {})]
    ((topic, partitions),) = answer.topics
    assert topic == "t"
    assert partitions[0] == (0, 0, 9, 8, 0, [(3, 4)], -1, b"records")
    assert [code for _, code, *_ in partitions] == [0, 3, 3, 1]
    assert answer.API_VERSION >= 11


def test_a_fetch_by_id_asks_for_the_same_as_the_fetch_by_name() -> None:
    built = _Fetch(fetch("t", "u"), {"t": ID, "u": OTHER}).prepare({1: (4, 17)})
    assert (built.max_wait_time, built.min_bytes, built.max_bytes) == (1, 2, 3)
    assert (built.isolation_level, built.session_id, built.session_epoch) == (1, 0, -1)
    assert [raw for raw, *_ in built.topics] == [to_bytes(ID), to_bytes(OTHER)]
