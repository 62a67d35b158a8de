"""A message is in its topic, whole or described by headers, before its publisher goes on."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError
from faust.exceptions import ProducerSendError
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json

from fraudapp.kafka.producer import size_of
from fraudapp.messages.publish import (
    CUT_FIELD_BYTES,
    MAX_DETAIL_CHARACTERS,
    publish_dead_letters,
    publish_transactions,
    reroute,
    send_raw,
)
from models.inputs import Input, Position, Rejection, ValidInput
from models.parsing import CUT_VALUE_BYTES, Unread
from models.records import Transaction
from tests.support.memory import MemoryBroker
from tests.support.transactions import transaction

INPUTS = "transactions"
LETTERS = "dead-letters"
HERE = Position(INPUTS, 1, 7)
ORIGIN = Position(INPUTS, 5, 3)


@pytest.fixture
def broker() -> Any:
    """Typed as anything, since it stands in for a `BatchProducer`."""
    return MemoryBroker({INPUTS: 4, LETTERS: 2})


def new_input(
    raw: bytes | None, key: bytes | None = None, lost: tuple[tuple[str, bytes], ...] = ()
) -> Input:
    return Input(key, raw, HERE, ORIGIN, lost)


def rejection(raw: bytes | None, key: bytes | None = None, detail: str = "because") -> Rejection:
    return Rejection(new_input(raw, key), "invalid", detail)


def spaced(each: Transaction, spaces: int) -> bytes:
    """A transaction as its sender encoded it, with so many spaces."""
    return json.encode(each) + b" " * spaces


def sha256(whole: bytes) -> bytes:
    return hashlib.sha256(whole).hexdigest().encode()


def headers(record: ConsumerRecord) -> dict[str, bytes]:
    names = [name for name, _ in record.headers]
    assert len(names) == len(set(names))
    return dict(record.headers)


def all_in(broker: MemoryBroker, topic: str) -> list[ConsumerRecord]:
    return [each for there in broker.topics[topic] for each in there]


def only(broker: MemoryBroker, topic: str) -> ConsumerRecord:
    (record,) = all_in(broker, topic)
    return record


class FaustProducer:
    """Faust's producer, whose confirmations come when the test says so."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes, bytes]] = []
        self.confirmations: list[asyncio.Future[None]] = []
        self.failure: BaseException | None = None

    async def send(self, topic: str, key: bytes, value: bytes, *rest: None) -> asyncio.Future[None]:
        assert rest == (None, None, None)
        if self.failure is not None:
            raise ProducerSendError("wrapped") from self.failure
        self.sent.append((topic, key, value))
        self.confirmations.append(asyncio.get_running_loop().create_future())
        return self.confirmations[-1]


class App:
    """As much of Faust's app as `publish_transactions` uses."""

    def __init__(self) -> None:
        self.producer = FaustProducer()


async def test_transactions_are_published_once_all_are_confirmed() -> None:
    app: Any = App()
    all_transactions = [transaction(name) for name in ("a", "b")]
    publishing = asyncio.create_task(publish_transactions(app, INPUTS, all_transactions))
    while len(app.producer.confirmations) < 2:
        await asyncio.sleep(0)
    assert app.producer.sent == [
        (INPUTS, each.transaction_id.encode(), json.encode(each)) for each in all_transactions
    ]
    app.producer.confirmations[1].set_result(None)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not publishing.done()
    app.producer.confirmations[0].set_result(None)
    await publishing


async def test_a_transaction_that_is_not_confirmed_is_an_error() -> None:
    app: Any = App()
    publishing = asyncio.create_task(publish_transactions(app, INPUTS, [transaction()]))
    while not app.producer.confirmations:
        await asyncio.sleep(0)
    app.producer.confirmations[0].set_exception(KafkaConnectionError("gone"))
    with pytest.raises(KafkaConnectionError, match="gone"):
        await publishing


async def test_the_error_of_the_broker_is_raised_and_not_that_of_faust_around_it() -> None:
    app: Any = App()
    app.producer.failure = KafkaConnectionError("gone")
    with pytest.raises(KafkaConnectionError, match="gone"):
        await publish_transactions(app, INPUTS, [transaction()])
    app.producer.failure = None


async def test_an_input_is_rerouted_unchanged_with_its_origin_in_a_header(broker: Any) -> None:
    raws = [spaced(transaction(name), 9) for name in "abc"]
    valid = [ValidInput(transaction(), new_input(raw, b"key")) for raw in raws]
    await reroute(broker, INPUTS, zip(valid, [2, 0, 2], strict=True))
    values = [[each.value for each in there] for there in broker.topics[INPUTS]]
    assert values == [[raws[1]], [], [raws[0], raws[2]], []]
    for each in all_in(broker, INPUTS):
        assert each.key == b"key"
        assert headers(each) == {"origin": ORIGIN.encode()}


async def test_what_an_input_has_lost_before_stays_in_its_headers(broker: Any) -> None:
    lost = (("raw-bytes", b"9"), ("raw-sha256", sha256(b"first")), ("raw-form", b"re-encoded"))
    valid = ValidInput(transaction(), new_input(spaced(transaction(), 900), b"k", lost))
    broker.limits[INPUTS] = 700
    await reroute(broker, INPUTS, [(valid, 0)])
    record = only(broker, INPUTS)
    assert record.value == json.encode(transaction())
    assert headers(record) == {"origin": ORIGIN.encode(), **dict(lost)}


async def test_a_rerouted_input_that_is_too_large_is_encoded_again(broker: Any) -> None:
    raw = spaced(transaction(), 5_000)
    broker.limits[INPUTS] = 2_000
    await reroute(broker, INPUTS, [(ValidInput(transaction(), new_input(raw, b"key")), 3)])
    record = only(broker, INPUTS)
    assert (record.partition, record.key) == (3, b"key")
    assert record.value == json.encode(transaction())
    assert headers(record) == {
        "origin": ORIGIN.encode(),
        "raw-bytes": b"%d" % len(raw),
        "raw-sha256": sha256(raw),
        "raw-form": b"re-encoded",
    }


async def test_the_key_of_a_rerouted_input_is_cut_if_that_alone_makes_it_fit(broker: Any) -> None:
    raw, key = spaced(transaction(), 3), bytes(5_000)
    broker.limits[INPUTS] = 2_000
    await reroute(broker, INPUTS, [(ValidInput(transaction(), new_input(raw, key)), 0)])
    record = only(broker, INPUTS)
    assert (record.key, record.value) == (key[:CUT_FIELD_BYTES], raw)
    assert headers(record) == {
        "origin": ORIGIN.encode(),
        "key-bytes": b"5000",
        "key-sha256": sha256(key),
    }


async def test_value_and_key_of_a_rerouted_input_are_made_smaller_if_need_be(broker: Any) -> None:
    raw, key = spaced(transaction(), 5_000), bytes(5_000)
    broker.limits[INPUTS] = 2_000
    await reroute(broker, INPUTS, [(ValidInput(transaction(), new_input(raw, key)), 0)])
    record = only(broker, INPUTS)
    assert (record.key, record.value) == (key[:CUT_FIELD_BYTES], json.encode(transaction()))
    assert headers(record).keys() == {
        *("origin", "raw-bytes", "raw-sha256", "raw-form", "key-bytes", "key-sha256")
    }


async def test_an_input_that_fits_in_no_form_is_an_error_after_all_others(broker: Any) -> None:
    broker.limits[INPUTS] = size_of((None, b"x" * 300, [("origin", ORIGIN.encode())]))
    large = ValidInput(transaction(nameOrig="x" * 400), new_input(b"x" * 400))
    small = ValidInput(transaction(), new_input(b"x" * 300))
    with pytest.raises(MessageSizeTooLargeError, match="accepts no form of a message"):
        await reroute(broker, INPUTS, [(large, 0), (small, 0), (small, 1)])
    assert [each.partition for each in all_in(broker, INPUTS)] == [0, 1]


async def test_inputs_are_sent_raw_to_another_partition(broker: Any) -> None:
    inputs = [new_input(b"a", b"key"), new_input(None), new_input(b"")]
    await send_raw(broker, INPUTS, 2, inputs)
    assert [each.partition for each in all_in(broker, INPUTS)] == [2, 2, 2]
    records = broker.topics[INPUTS][2]
    assert [(each.key, each.value) for each in records] == [
        (b"key", b"a"),
        (None, None),
        (None, b""),
    ]
    assert [headers(each) for each in records] == [{"origin": ORIGIN.encode()}] * 3


async def test_an_input_that_is_too_large_to_be_sent_raw_is_cut(broker: Any) -> None:
    raw = bytes(2 * CUT_VALUE_BYTES)
    broker.limits[INPUTS] = CUT_VALUE_BYTES + 2_000
    await send_raw(broker, INPUTS, 0, [new_input(raw, b"key")])
    record = only(broker, INPUTS)
    assert (record.key, record.value) == (b"key", raw[:CUT_VALUE_BYTES])
    assert headers(record) == {
        "origin": ORIGIN.encode(),
        "raw-bytes": b"%d" % len(raw),
        "raw-sha256": sha256(raw),
        "raw-form": b"cut",
    }


async def test_of_no_rejections_nothing_is_published_and_nobody_asked() -> None:
    producer: Any = MemoryBroker({})
    await publish_dead_letters(producer, LETTERS, [])


async def test_a_dead_letter_has_reason_and_origin_in_its_headers(broker: Any) -> None:
    await publish_dead_letters(broker, LETTERS, [rejection(b"raw", b"key", "d" * 9_000)])
    record = only(broker, LETTERS)
    assert (record.key, record.value) == (b"key", b"raw")
    assert headers(record) == {
        "reason": b"invalid",
        "detail": b"d" * MAX_DETAIL_CHARACTERS,
        "topic": INPUTS.encode(),
        "partition": b"5",
        "offset": b"3",
    }


@pytest.mark.parametrize("partition", range(5))
async def test_the_partition_of_a_dead_letter_follows_that_at_which_it_was_read(
    broker: Any, partition: int
) -> None:
    read = Input(None, b"raw", Position(INPUTS, partition, 0), ORIGIN)
    await publish_dead_letters(broker, LETTERS, [Rejection(read, "invalid", "")])
    assert only(broker, LETTERS).partition == partition % 2


@pytest.mark.parametrize(
    ("room", "left"),
    [
        (300_000, 300_000),
        (CUT_VALUE_BYTES, CUT_VALUE_BYTES),
        (CUT_VALUE_BYTES - 1, 10_000),
        (10_000, 10_000),
        (9_999, CUT_FIELD_BYTES),
        (CUT_FIELD_BYTES, CUT_FIELD_BYTES),
        (CUT_FIELD_BYTES - 1, 0),
    ],
)
async def test_a_dead_letter_is_cut_to_the_most_that_the_topic_takes(
    broker: Any, room: int, left: int
) -> None:
    raw = bytes(300_000)
    names = {"raw-bytes": b"300000", "raw-sha256": sha256(raw), "raw-form": b"cut"}
    await publish_dead_letters(broker, LETTERS, [rejection(b"")])
    around = list(only(broker, LETTERS).headers)
    described = [*around, *names.items()] if left < len(raw) else around
    broker.limits[LETTERS] = size_of((b"key", bytes(room), described))
    await publish_dead_letters(broker, LETTERS, [rejection(raw, b"key")])
    record = all_in(broker, LETTERS)[1]
    assert record.key == b"key"[:left]
    assert len(record.value) == left
    if left < len(raw):
        assert {name: headers(record)[name] for name in names} == names


async def test_a_key_that_is_too_large_is_cut_and_described(broker: Any) -> None:
    key = bytes(50_000)
    broker.limits[LETTERS] = 20_000
    await publish_dead_letters(broker, LETTERS, [rejection(b"raw", key)])
    record = only(broker, LETTERS)
    assert (record.key, record.value) == (key[:10_000], b"raw")
    assert headers(record)["key-bytes"] == b"50000"
    assert headers(record)["key-sha256"] == sha256(key)
    assert "raw-form" not in headers(record)


@pytest.mark.parametrize(("size", "told"), [(None, b"unknown"), (70_000_000, b"70000000")])
async def test_a_value_that_was_not_read_whole_is_described_without_a_hash(
    broker: Any, size: int | None, told: bytes
) -> None:
    await publish_dead_letters(broker, LETTERS, [rejection(Unread(b"beginning", size))])
    record = only(broker, LETTERS)
    assert record.value == b"beginning"
    found = headers(record)
    assert (found["raw-bytes"], found["raw-form"]) == (told, b"cut")
    assert "raw-sha256" not in found


async def test_a_dead_letter_that_cannot_be_cut_enough_is_an_error(broker: Any) -> None:
    broker.limits[LETTERS] = 100
    with pytest.raises(MessageSizeTooLargeError, match="publishing dead letters: dead-letters"):
        await publish_dead_letters(broker, LETTERS, [rejection(b"raw")])
    assert all_in(broker, LETTERS) == []


async def test_dead_letters_wait_until_the_broker_has_them(broker: Any) -> None:
    broker.hold(LETTERS, 1)
    publishing = asyncio.create_task(publish_dead_letters(broker, LETTERS, [rejection(b"raw")]))
    await broker.held(LETTERS, 1)
    assert not publishing.done()
    broker.fail(LETTERS, 1, KafkaConnectionError())
    broker.go_on(LETTERS, 1)
    await publishing
    assert only(broker, LETTERS).value == b"raw"


@given(st.lists(st.integers(0, 250_000), min_size=1, max_size=6), st.integers(10_000, 300_000))
async def test_each_dead_letter_is_there_once_whole_or_with_its_size_and_hash(
    sizes: list[int], limit: int
) -> None:
    producer: Any = MemoryBroker({LETTERS: 2})
    producer.limits[LETTERS] = limit
    raws = [b"%d" % n * size for n, size in enumerate(sizes)]
    await publish_dead_letters(producer, LETTERS, [rejection(raw) for raw in raws])
    records = producer.topics[LETTERS][1]
    for raw, record in zip(raws, records, strict=True):
        assert size_of((record.key, record.value, list(record.headers))) <= limit
        if record.value == raw:
            assert "raw-bytes" not in headers(record)
        else:
            assert raw.startswith(record.value)
            assert headers(record)["raw-bytes"] == b"%d" % len(raw)
            assert headers(record)["raw-sha256"] == sha256(raw)
