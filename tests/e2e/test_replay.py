"""Every dead letter can be listed, shown and replayed; one that cannot holds up no other."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from models.key_hash import key_partitions
from tests.support import readback
from tests.support.messages import encoded, transaction
from tests.support.worker import Worker, run

Header = tuple[str, "bytes | None"]
ODD: list[tuple[bytes | None, bytes | None]] = [
    (None, None),
    (None, b""),
    (b"", None),
    (b"", b""),
    (b"\xff", None),
    (b"\xff", b"\xff\xfe"),
    (b"key", b"no transaction"),
    (None, b"x" * 3_000_000),
    (b"k" * 500_000, b"x" * 3_000_000),
    (None, b"x" * 7_000_000),  # above the limit of the input topic, unless it is compressed
]


async def put(
    worker: Worker,
    topic: str,
    records: Sequence[tuple[bytes | None, bytes | None, Sequence[Header]]],
    timestamp: int | None = None,
) -> list[str]:
    """Append raw records to partition 0 of a topic of the worker; return their names."""
    names = []
    async with AIOKafkaProducer(
        bootstrap_servers=worker.environment["FRAUD_BROKER_URL"].removeprefix("kafka://"),
        max_request_size=60_000_000,
        max_batch_size=60_000_000,
        compression_type="gzip",
    ) as producer:
        for key, value, headers in records:
            # Faust's and aiokafka's `send` refuse a record without key and value; Kafka does not.
            batch = producer.create_batch()
            batch.append(key=key, value=value, timestamp=timestamp, headers=headers)
            batch.close()
            name = worker.environment[f"FRAUD_{topic}_TOPIC"]
            sent = await producer.send_batch(batch, name, partition=0)
            names.append(f"0:{(await sent).offset}")
    return names


async def command(worker: Worker, *arguments: str) -> subprocess.CompletedProcess[Any]:
    return await asyncio.to_thread(
        run, ["-m", "fraudapp", "dead-letters", *arguments], worker.environment
    )


async def rejected(worker: Worker, count: int) -> None:
    await readback.eventually(lambda: worker.stats()["dead_letters"]["total"] == count)


async def test_any_dead_letter_is_listed_shown_and_sent_back(worker: Worker) -> None:
    await put(worker, "TRANSACTIONS", [(key, value, []) for key, value in ODD])
    await rejected(worker, len(ODD))
    dead_letters = await readback.in_topic(worker.environment, "dead_letters")
    assert sorted((each.key or b"", each.value or b"") for each in dead_letters) == sorted(
        (key or b"", value or b"") for key, value in ODD
    )
    listed = await command(worker, "list")
    assert f"{len(ODD)} dead letters" in listed.stdout
    names = [f"{each.partition}:{each.offset}" for each in dead_letters]
    for name, dead_letter in zip(names, dead_letters, strict=True):
        if not dead_letter.value:
            shown = await command(worker, "show", name)
            assert (shown.returncode, shown.stdout) == (0, "")
            assert ("without a value" in shown.stderr) == (dead_letter.value is None)
    done = await command(worker, "replay", *names)
    assert done.returncode == 0, done.stderr
    assert f"{len(ODD)} messages sent" in done.stdout
    await rejected(worker, 2 * len(ODD))
    again = await readback.in_topic(worker.environment, "dead_letters")
    assert {(each.key, each.value) for each in again} == set(ODD)
    done = await command(worker, "replay", "--all")
    assert done.returncode == 0, done.stderr
    assert f"{2 * len(ODD)} messages sent, from the first dead letter on" in done.stdout
    await rejected(worker, 4 * len(ODD))
    done = await command(worker, "replay", "--all")
    assert (done.returncode, done.stdout) == (0, f"{2 * len(ODD)} messages sent\n"), done.stderr


async def test_what_cannot_be_sent_back_is_told_and_holds_up_no_other(worker: Worker) -> None:
    topic = worker.environment["FRAUD_TRANSACTIONS_TOPIC"]
    await put(worker, "TRANSACTIONS", [(b"k", b"x" * 9_000_000, []), (None, b"small", [])])
    await rejected(worker, 2)
    ours = [("reason", b"invalid"), ("topic", topic.encode()), ("detail", b"\x1b[31mred")]
    foreign: list[tuple[bytes | None, bytes | None, Sequence[Header]]] = [
        (None, None, []),
        (b"\xff", b"foreign", [("reason", None), ("topic", b"\xff"), ("x", b"\xfe")]),
        (b"k", b"other", [("topic", b"other"), ("reason", b"in\x00valid")]),
        (b"k", b"twice", [*ours, *ours, ("partition", b"\xb2"), ("offset", None)]),
        (None, b"far", [*ours, ("partition", b"999999999999"), ("raw-bytes", None)]),
        (b"k", b"decision", [("reason", b"refused"), ("topic", topic.encode())]),
    ]
    names = await put(worker, "DEAD_LETTERS", foreign)
    listed = await command(worker, "list")
    assert listed.returncode == 0, listed.stderr
    assert "8 dead letters" in listed.stdout
    assert "\x1b" not in listed.stdout
    assert "\\x1b[31mred" in listed.stdout
    assert (await command(worker, "list", "--json")).returncode == 0
    for name in names:
        assert (await command(worker, "show", name)).returncode == 0
    done = await command(worker, "replay", "--all")
    assert done.returncode == 1
    assert "3 messages sent" in done.stdout  # small, twice, far
    told = done.stderr.splitlines()
    assert len(told) == 5
    assert any("holds only 100,000 of 9000000 bytes" in line for line in told)
    for number in (0, 1, 2, 5):
        assert any(f"dead letter {names[number]} " in line for line in told)
    await rejected(worker, 5)
    done = await command(worker, "replay", "--reason", "invalid")
    assert done.returncode == 1
    assert "--value" in done.stderr


@pytest.mark.parametrize("key", [None, b"\xff", b"elsewhere"])
async def test_a_repaired_dead_letter_is_decided_in_its_key_partition(
    worker: Worker, key: bytes | None
) -> None:
    await put(worker, "TRANSACTIONS", [(key, b"{" + b" " * 9_000_000, [])])
    await rejected(worker, 1)
    (dead_letter,) = await readback.in_topic(worker.environment, "dead_letters")
    repaired = transaction("repaired")
    name = f"{dead_letter.partition}:{dead_letter.offset}"
    assert (await command(worker, "replay", name)).returncode == 1
    done = await command(worker, "replay", name, "--value", encoded(repaired).decode())
    assert done.returncode == 0, done.stderr
    path = "/transaction/repaired/status?wait_seconds=20"
    status, decision = await asyncio.to_thread(worker.get, path)
    assert (status, decision["transaction"]) == (200, repaired)
    sent = (await readback.in_topic(worker.environment, "transactions"))[-1]
    assert [decision["partition"]] == key_partitions(["repaired"], 4)
    assert sent.key == key
