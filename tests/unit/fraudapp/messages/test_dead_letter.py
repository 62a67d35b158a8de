"""A dead letter is read whoever wrote its headers, and is replayed only if it can be."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json

from fraudapp.messages.dead_letter import (
    CannotReplay,
    DeadLetter,
    check,
    dead_letter_of,
    destination,
    texts_of,
)
from fraudapp.messages.publish import publish_dead_letters
from models.inputs import Cause, Input, Position, Rejection
from models.key_hash import key_partitions, partition_of
from models.records import Transaction
from models.schema.schema import PAYSIM
from tests.support.memory import MemoryBroker
from tests.support.transactions import transactions

TOPIC = "dead-letters"
INPUTS = "transactions"
TOPICS = (INPUTS, "labels")
CAUSES: tuple[Cause, ...] = ("invalid", "conflict", "refused", "unscored")
INVALID = b"no transaction"
parse = PAYSIM.parser.parse

names = st.text(st.characters(codec="utf-8"), max_size=20)
binaries = st.none() | st.binary(max_size=50)


def in_topic(*headers: tuple[str, bytes | None], value: bytes | None = b"raw") -> ConsumerRecord:
    """A record of the dead-letter topic with any headers."""
    record: Any = MemoryBroker({TOPIC: 1}).put(TOPIC, 0, value, b"key")
    record.headers = headers
    return record


def letter(**changes: Any) -> DeadLetter:
    fields: dict[str, Any] = {
        "partition": 2,
        "offset": 7,
        "key": None,
        "raw": b"raw",
        "reason": "invalid",
        "detail": "because",
        "topic": INPUTS,
        "source": "1:5",
    }
    return DeadLetter(**{**fields, **changes})


@given(
    binaries,
    binaries,
    st.sampled_from(CAUSES),
    names,
    st.text("abc-._", min_size=1, max_size=20),
    st.integers(0, 2**31 - 1),
    st.integers(0, 2**63 - 1),
)
async def test_a_dead_letter_that_is_published_is_read_as_it_was(
    key: bytes | None,
    raw: bytes | None,
    reason: Cause,
    detail: str,
    topic: str,
    partition: int,
    offset: int,
) -> None:
    producer: Any = MemoryBroker({TOPIC: 1})
    origin = Position(topic, partition, offset)
    rejection = Rejection(Input(key, raw, Position(INPUTS, 0, 3), origin), reason, detail)
    await publish_dead_letters(producer, TOPIC, [rejection])
    (record,) = producer.topics[TOPIC][0]
    found = dead_letter_of(record)
    assert found == DeadLetter(
        0, 0, key, raw, reason, detail, topic, f"{partition}:{offset}", lost={}
    )
    assert found.name == "0:0"
    assert not found.cut


async def test_what_a_rerouted_input_has_lost_is_in_its_dead_letter() -> None:
    producer: Any = MemoryBroker({TOPIC: 1})
    lost = (("raw-bytes", b"9"), ("raw-sha256", b"0" * 64), ("raw-form", b"re-encoded"))
    here = Position(INPUTS, 0, 3)
    rejection = Rejection(Input(None, b"raw", here, here, lost), "invalid", "because")
    await publish_dead_letters(producer, TOPIC, [rejection])
    found = dead_letter_of(producer.topics[TOPIC][0][0])
    assert found.lost == {name: text.decode() for name, text in lost}
    assert not found.cut


def test_headers_that_are_missing_are_empty() -> None:
    found = dead_letter_of(in_topic())
    assert found == DeadLetter(0, 0, b"key", b"raw", "", "", "", "?:?", lost={})


@given(st.lists(st.tuples(st.sampled_from(["reason", "detail", "raw-bytes", "x"]), binaries)))
def test_headers_of_any_name_and_content_are_read(headers: list[tuple[str, bytes | None]]) -> None:
    record = in_topic(*headers)
    last = {name: (text or b"").decode(errors="replace") for name, text in headers}
    assert texts_of(record) == last
    found = dead_letter_of(record)
    assert found.reason == last.get("reason", "")
    assert found.detail == last.get("detail", "")
    assert found.lost.get("raw-bytes", "") == last.get("raw-bytes", "")
    assert found.lost.keys() <= {"raw-bytes"}


@pytest.mark.parametrize(
    ("lost", "cut"),
    [
        ({}, False),
        ({"key-bytes": "9", "key-sha256": "0"}, False),
        ({"raw-bytes": "9"}, True),
        ({"raw-bytes": "9", "raw-form": "cut"}, True),
        ({"raw-bytes": "9", "raw-form": "re-encoded"}, False),
        ({"raw-bytes": "9", "raw-form": "any other"}, True),
    ],
)
def test_a_value_is_cut_unless_it_is_whole_or_was_encoded_again(
    lost: dict[str, str], cut: bool
) -> None:
    assert letter(lost=lost).cut is cut


@pytest.mark.parametrize("repaired", [False, True])
@pytest.mark.parametrize(("topic", "named"), [("other", "other"), ("", "an unknown topic")])
def test_a_dead_letter_of_another_topic_is_not_replayed(
    topic: str, named: str, repaired: bool
) -> None:
    with pytest.raises(CannotReplay) as refused:
        check(letter(topic=topic), TOPICS, repaired)
    assert str(refused.value) == f"dead letter 2:7 came from {named}, not from {INPUTS} or labels"


@pytest.mark.parametrize("size", ["123456", "unknown", "\x00 hostile"])
def test_a_dead_letter_that_is_cut_is_replayed_only_if_it_is_repaired(size: str) -> None:
    cut = letter(raw=b"x" * 1_234, lost={"raw-bytes": size, "raw-form": "cut"})
    with pytest.raises(CannotReplay, match="holds only 1,234 of ") as refused:
        check(cut, TOPICS, repaired=False)
    assert f"of {size} bytes" in str(refused.value)
    check(cut, TOPICS, repaired=True)


def test_a_decision_that_a_sink_has_refused_is_no_input() -> None:
    refused = letter(reason="refused", detail="d" * 500)
    with pytest.raises(CannotReplay, match=r"which a sink has refused \(d{200}\)"):
        check(refused, TOPICS, repaired=False)
    check(refused, TOPICS, repaired=True)


@pytest.mark.parametrize("reason", ["invalid", "conflict", "unscored", "", "anything"])
def test_every_other_dead_letter_is_replayed(reason: str) -> None:
    check(letter(reason=reason), TOPICS, repaired=False)


@given(transactions, binaries, st.integers(1, 50))
def test_a_valid_transaction_goes_to_its_key_partition(
    transaction: Transaction, key: bytes | None, partitions: int
) -> None:
    value = json.encode(transaction)
    expected = key_partitions([transaction.transaction_id], partitions)
    assert [destination(letter(key=key), value, partitions, parse)] == expected


@given(st.binary(max_size=20), st.integers(1, 50))
def test_any_other_value_goes_to_the_partition_of_its_key(key: bytes, partitions: int) -> None:
    assert destination(letter(key=key), INVALID, partitions, parse) == partition_of(key, partitions)


@given(st.integers(0, 100), st.integers(0, 100), st.integers(1, 50))
def test_a_dead_letter_without_a_whole_key_goes_back_where_it_came_from(
    source: int, own: int, partitions: int
) -> None:
    expected = source if source < partitions else own % partitions
    for fields in ({"key": None}, {"key": b"half", "lost": {"key-bytes": "9"}}):
        found = letter(source=f"{source}:5", partition=own, **fields)
        assert destination(found, INVALID, partitions, parse) == expected


@pytest.mark.parametrize("source", ["?:?", "", ":5", "-1:5", "1" * 5_000, "\u00b2:5", "\u0661:5"])
def test_a_source_that_is_no_partition_is_not_believed(source: str) -> None:
    assert destination(letter(source=source, partition=6), None, 4, parse) == 2


@given(st.text(max_size=12), st.integers(0, 99), st.integers(1, 20))
def test_the_destination_is_a_partition_whatever_the_headers_say(
    source: str, own: int, partitions: int
) -> None:
    found = letter(source=source, partition=own)
    assert destination(found, INVALID, partitions, parse) in range(partitions)
