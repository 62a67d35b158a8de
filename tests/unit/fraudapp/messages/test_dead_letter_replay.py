"""A replay sends back every dead letter that it can, and says why it does not send the others."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError
from msgspec import json

from fraudapp.kafka.producer import size_of
from fraudapp.messages import dead_letter_replay
from fraudapp.messages.dead_letter import DeadLetter
from fraudapp.messages.dead_letter_replay import Replayed, replay
from fraudapp.settings import Settings, load
from tests.support.decisions import id_in_partition
from tests.support.memory import MemoryBroker
from tests.support.transactions import transaction

PARTITIONS = 2


class Connected(MemoryBroker):
    """A broker that records who connects to it."""

    def __init__(self, topic: str) -> None:
        super().__init__({topic: PARTITIONS})
        self.calls: list[str] = []
        self.refuses: Exception | None = None

    async def start(self) -> None:
        self.calls.append("start")
        if self.refuses is not None:
            raise self.refuses

    async def stop(self) -> None:
        self.calls.append("stop")


@pytest.fixture
def settings() -> Settings:
    return load({})


@pytest.fixture
def broker(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Connected:
    broker = Connected(settings.transactions_topic)

    def connected(given: Settings, compression: str) -> Connected:
        assert (given, compression) == (settings, "gzip")
        return broker

    monkeypatch.setattr(dead_letter_replay, "BatchProducer", connected)
    return broker


@pytest.fixture
def inputs(settings: Settings) -> str:
    return settings.transactions_topic


def encoded(transaction_id: str) -> bytes:
    return json.encode(transaction(transaction_id))


def letter(topic: str, offset: int, raw: bytes | None, **changes: Any) -> DeadLetter:
    fields: dict[str, Any] = {"key": None, "reason": "invalid", "detail": "", "source": "1:5"}
    return DeadLetter(0, offset, raw=raw, topic=topic, **{**fields, **changes})


def sent(broker: Connected, topic: str) -> list[list[tuple[bytes | None, bytes | None]]]:
    """Key and value of each record, by partition."""
    return [[(each.key, each.value) for each in there] for there in broker.topics[topic]]


async def test_dead_letters_go_back_as_they_came_each_to_its_partition(
    settings: Settings, broker: Connected, inputs: str
) -> None:
    raw = encoded(id_in_partition(0, 0, PARTITIONS))
    letters = [
        letter(inputs, 0, raw, key=b"of its producer"),
        letter(inputs, 1, b"invalid"),
        letter(inputs, 2, None, source="0:8"),
    ]
    assert await replay(settings, letters) == Replayed(3, [])
    assert sent(broker, inputs) == [
        [(b"of its producer", raw), (None, None)],
        [(None, b"invalid")],
    ]
    assert not any(each.headers for there in broker.topics[inputs] for each in there)
    assert broker.calls == ["start", "stop"]


async def test_one_that_cannot_be_replayed_is_reported_and_holds_up_no_other(
    settings: Settings, broker: Connected, inputs: str
) -> None:
    letters = [
        letter("elsewhere", 0, b"a"),
        letter(inputs, 1, b"b"),
        letter(inputs, 2, b"c", lost={"raw-bytes": "9"}),
        letter(inputs, 3, b"d", reason="refused"),
        letter(inputs, 4, b"e"),
    ]
    done = await replay(settings, letters)
    assert done.sent == 2
    assert done.remembered
    assert [each.split(" ")[2] for each in done.refused] == ["0:0", "0:2", "0:3"]
    assert sent(broker, inputs) == [[], [(None, b"b"), (None, b"e")]]


async def test_labels_go_back_to_their_own_topic_each_to_the_partition_of_its_id(
    settings: Settings, broker: Connected, inputs: str
) -> None:
    topic = settings.labels_topic
    broker.topics[topic] = [[] for _ in range(PARTITIONS)]
    id_ = id_in_partition(1, 0, PARTITIONS)
    label = {"transaction_id": id_, "label": 1, "source": "analyst", "by": "ann"}
    valid = json.encode({**label, "at": "2026-04-01T08:00:00Z"})
    letters = [
        letter(topic, 0, valid, source="0:5", reason="unknown-transaction"),
        letter(inputs, 1, valid, source="0:6"),
        letter(topic, 2, json.encode(label), source="0:7"),
    ]
    assert await replay(settings, letters) == Replayed(3, [])
    assert sent(broker, topic) == [[(None, json.encode(label))], [(None, valid)]]
    assert sent(broker, inputs) == [[(None, valid)], []]  # it is no transaction


async def test_one_that_is_too_large_is_reported_and_holds_up_no_other(
    settings: Settings, broker: Connected, inputs: str
) -> None:
    broker.limits[inputs] = size_of((None, b"x" * 100, []))
    letters = [
        letter(inputs, 0, b"x" * 100),
        letter(inputs, 1, b"x" * 101),
        letter("elsewhere", 2, b"x"),
        letter(inputs, 3, b"x", source="0:0"),
    ]
    done = await replay(settings, letters)
    assert done.sent == 2
    assert done.refused == [
        f"dead letter 0:2 came from elsewhere, not from {inputs} or labels",
        f"dead letter 0:1 cannot be sent back: {inputs} accepts no message of that size",
    ]
    assert sent(broker, inputs) == [[(None, b"x")], [(None, b"x" * 100)]]


async def test_a_repaired_value_is_sent_in_place_of_the_raw_bytes(
    settings: Settings, broker: Connected, inputs: str
) -> None:
    repaired = encoded(id_in_partition(0, 0, PARTITIONS))
    cut = letter(inputs, 0, b"{", key=b"k", lost={"raw-bytes": "9"})
    assert await replay(settings, [cut], repaired) == Replayed(1, [])
    assert sent(broker, inputs) == [[(b"k", repaired)], []]


async def test_a_value_may_be_repaired_to_an_empty_one(
    settings: Settings, broker: Connected, inputs: str
) -> None:
    assert await replay(settings, [letter(inputs, 0, b"raw")], b"") == Replayed(1, [])
    assert sent(broker, inputs) == [[], [(None, b"")]]


async def test_a_key_that_is_cut_is_not_sent(
    settings: Settings, broker: Connected, inputs: str
) -> None:
    half = letter(inputs, 0, b"raw", key=b"half", lost={"key-bytes": "9"})
    assert await replay(settings, [half]) == Replayed(1, [])
    assert sent(broker, inputs) == [[], [(None, b"raw")]]


@pytest.mark.parametrize("topics", [[], ["elsewhere"]])
async def test_if_nothing_can_be_sent_nobody_connects(
    settings: Settings, broker: Connected, topics: list[str]
) -> None:
    done = await replay(settings, [letter(topic, 0, b"raw") for topic in topics])
    assert (done.sent, len(done.refused)) == (0, len(topics))
    assert broker.calls == []


async def test_a_broker_that_cannot_be_reached_is_an_error_and_nothing_stays_open(
    settings: Settings, broker: Connected, inputs: str
) -> None:
    broker.refuses = KafkaConnectionError("gone")
    with pytest.raises(KafkaConnectionError):
        await replay(settings, [letter(inputs, 0, b"raw")])
    assert broker.calls == ["start", "stop"]


async def test_a_broker_that_does_not_answer_ends_the_replay(
    settings: Settings, broker: Connected, inputs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letter_replay, "REPLAY_TIMEOUT", 0.0)
    broker.hold(inputs, 1)
    with pytest.raises(KafkaTimeoutError, match="not done after 0 s"):
        await replay(settings, [letter(inputs, 0, b"raw")])
    assert broker.calls == ["start", "stop"]
    assert sent(broker, inputs) == [[], []]


async def test_dead_letters_of_one_partition_keep_their_order(
    settings: Settings, broker: Connected, inputs: str
) -> None:
    letters = [letter(inputs, n, b"%d" % n, source=f"{n % 2}:0") for n in range(6)]
    assert await replay(settings, letters) == Replayed(6, [])
    values = [[value for _, value in there] for there in sent(broker, inputs)]
    assert values == [[b"0", b"2", b"4"], [b"1", b"3", b"5"]]
