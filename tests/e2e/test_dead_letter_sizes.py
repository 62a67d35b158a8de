"""A dead letter holds the whole message or says what is missing, at every boundary of size."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord

from models.key_hash import key_partitions
from tests.support import readback
from tests.support.messages import encoded, send_transactions, transaction
from tests.support.worker import Worker

MAX_MESSAGE_BYTES = 200_000  # FRAUD_MAX_MESSAGE_BYTES
EXTRA_BYTES = 64_000  # what the dead-letter topic takes beyond twice the limit
BOUNDARY_SIZES = [
    near + off for near in (100_000, MAX_MESSAGE_BYTES, 2 * MAX_MESSAGE_BYTES) for off in (-1, 0, 1)
]

Message = tuple["bytes | None", "bytes | None", int]  # key, value, partition


@pytest.fixture
def small(new_worker: Callable[..., Worker]) -> Worker:
    """A worker with a small limit."""
    return new_worker(FRAUD_MAX_MESSAGE_BYTES=str(MAX_MESSAGE_BYTES))


async def compressed(worker: Worker, messages: Sequence[Message]) -> dict[str, Message]:
    """Send messages above every limit, far smaller on their way; return them by position."""
    topic = worker.environment["FRAUD_TRANSACTIONS_TOPIC"]
    sent = {}
    async with AIOKafkaProducer(
        bootstrap_servers=worker.environment["FRAUD_BROKER_URL"].removeprefix("kafka://"),
        max_request_size=200_000_000,
        compression_type="gzip",
    ) as producer:
        for key, value, partition in messages:
            at = await producer.send_and_wait(topic, value, key=key, partition=partition)
            sent[f"{at.partition}:{at.offset}"] = key, value, partition
    return sent


async def dead_letters_of(worker: Worker, count: int) -> dict[str, ConsumerRecord]:
    """Dead dead_letters by the position in their headers, once there are `count`."""
    await readback.eventually(lambda: worker.stats()["dead_letters"]["total"] == count, timeout=120)
    records = await readback.in_topic(worker.environment, "dead_letters")
    dead_letters = {}
    for record in records:
        headers = headers_of(record)
        dead_letters[f"{headers['partition']}:{headers['offset']}"] = record
    assert len(records) == len(dead_letters) == count  # each once
    return dead_letters


def headers_of(dead_letter: ConsumerRecord) -> dict[str, str]:
    return {name: value.decode() for name, value in dead_letter.headers}


def is_whole(message: Message, dead_letter: ConsumerRecord) -> bool:
    """Whether nothing is missing; if anything is, the dead letter must say so."""
    key, value, _ = message
    headers = headers_of(dead_letter)
    for of, was, now in (("raw", value, dead_letter.value), ("key", key, dead_letter.key)):
        assert (f"{of}-bytes" in headers) == (was != now), of
        if was != now:
            assert headers[f"{of}-bytes"] == str(len(was or b""))
            assert headers[f"{of}-sha256"] == hashlib.sha256(was or b"").hexdigest()
            if of == "key" or headers["raw-form"] == "cut":
                assert (was or b"").startswith(now)
            else:
                assert headers["raw-form"] == "re-encoded"
                assert fields(now) == fields(was or b"")
    return not {"raw-bytes", "key-bytes"} & headers.keys()


def fields(value: bytes) -> Mapping[str, Any]:
    return dict(json.loads(value))


async def test_a_misrouted_conflict_is_whole_or_says_what_is_missing(small: Worker) -> None:
    await send_transactions(small.environment, [transaction("same")])
    await readback.eventually(lambda: small.stats()["decisions"]["total"] == 1)
    (key_partition,) = key_partitions(["same"], 4)
    elsewhere = (key_partition + 1) % 4
    value = encoded(transaction("same", seed=1))
    keys = (None, b"", b"\xff\xfe", b"another key", b"k" * (MAX_MESSAGE_BYTES + 1))
    sent = await compressed(
        small, [(key, value.ljust(size), elsewhere) for size in BOUNDARY_SIZES for key in keys]
    )
    dead_letters = await dead_letters_of(small, len(sent))
    for position, message in sent.items():
        key, raw, _ = message
        whole = is_whole(message, dead_letters[position])
        size = len(key or b"") + len(raw or b"")
        assert headers_of(dead_letters[position])["reason"] == "conflict"
        assert (
            whole if size < MAX_MESSAGE_BYTES - 1_000 else not whole or size < MAX_MESSAGE_BYTES
        ), size
    # An input that was rerouted re-encoded is a valid transaction still.
    reencoded = next(each for each in dead_letters.values() if "raw-form" in headers_of(each))
    name = f"{reencoded.partition}:{reencoded.offset}"
    assert "1 messages sent" in small.run("dead-letters", "replay", name)
    await dead_letters_come_to(small, len(sent) + 1)


async def dead_letters_come_to(worker: Worker, count: int) -> None:
    await readback.eventually(lambda: worker.stats()["dead_letters"]["total"] == count)


async def test_what_is_no_transaction_is_whole_up_to_twice_the_limit(small: Worker) -> None:
    sizes = [
        *BOUNDARY_SIZES,
        2 * MAX_MESSAGE_BYTES + EXTRA_BYTES - 1_000,
        2 * MAX_MESSAGE_BYTES + EXTRA_BYTES,
        2 * MAX_MESSAGE_BYTES + EXTRA_BYTES + 1,
    ]
    messages: list[Message] = [(None, b"x" * size, 0) for size in sizes]
    messages += [(b"k" * size, None, 1) for size in sizes]
    messages += [(b"k" * size, b"", 2) for size in sizes]
    messages += [(b"k" * (size // 2), b"x" * (size - size // 2), 3) for size in sizes]
    sent = await compressed(small, messages)
    dead_letters = await dead_letters_of(small, len(sent))
    for position, message in sent.items():
        key, raw, _ = message
        size = len(key or b"") + len(raw or b"")
        whole = is_whole(message, dead_letters[position])
        assert whole == (size <= 2 * MAX_MESSAGE_BYTES + EXTRA_BYTES - 1_000), size


async def test_what_unpacks_to_more_than_a_request_may_have_is_cut(worker: Worker) -> None:
    # 112 kB on its way, 110 MiB as it is read: brokers end the connection over such a request.
    sent = await compressed(worker, [(b"bomb", b"x" * (110 << 20), 0)])
    (dead_letter,) = (await dead_letters_of(worker, len(sent))).values()
    assert headers_of(dead_letter)["reason"] == "invalid"
    assert headers_of(dead_letter)["raw-bytes"] in (str(110 << 20), "unknown")
    assert dead_letter.value == b"x" * 100_000
    await send_transactions(worker.environment, [transaction(f"t{n}") for n in range(100)])
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == 100)
    assert worker.get("/readyz")[0] == 200


async def test_large_dead_letters_are_sent_in_requests_that_the_broker_takes(
    worker: Worker,
) -> None:
    # 120 MB, where a broker ends the connection over a request of 100 MiB.
    bombs: list[Message] = [
        (None, b"%d" % number + b"x" * 30_000_000, number) for number in range(4)
    ]
    sent = await compressed(worker, bombs)
    dead_letters = await dead_letters_of(worker, len(sent))
    assert not any(is_whole(message, dead_letters[position]) for position, message in sent.items())
    await send_transactions(worker.environment, [transaction("after")])
    path = "/transaction/after/status?wait_seconds=20"
    assert (await asyncio.to_thread(worker.get, path))[0] == 200


async def test_a_topic_with_a_small_limit_gets_what_fits(new_worker: Callable[..., Worker]) -> None:
    worker = await asyncio.to_thread(lambda: new_worker(FRAUD_MAX_MESSAGE_BYTES="4096"))
    await send_transactions(worker.environment, [transaction("same")])
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == 1)
    (key_partition,) = key_partitions(["same"], 4)
    value = encoded(transaction("same", seed=1))
    sizes = (4_000, 4_096, 8_192, 72_192, 99_999, 500_000)
    messages = [(None, value.ljust(size), (key_partition + 1) % 4) for size in sizes]
    sent = await compressed(worker, [*messages, *((b"k" * n, b"x" * n, 0) for n in sizes)])
    dead_letters = await dead_letters_of(worker, len(sent))
    for position, message in sent.items():
        is_whole(message, dead_letters[position])
