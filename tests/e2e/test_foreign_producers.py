"""Other programs write to our topics: any codec, Kafka transactions, any bytes."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from confluent_kafka import Producer

from tests.servers.kafka import Kafka
from tests.servers.topics import configure, create, cut_before
from tests.support import readback
from tests.support.decisions import decision
from tests.support.messages import encoded, send, send_transactions, transaction
from tests.support.worker import Worker

CODECS = ("gzip", "snappy", "lz4", "zstd")
LARGE = 150_000_000  # bytes; far above what a broker takes in one request, but for compression


def broker(environment: dict[str, str]) -> str:
    return environment["FRAUD_BROKER_URL"].removeprefix("kafka://")


def topic(worker: Worker, name: str) -> str:
    return worker.environment[f"FRAUD_{name}_TOPIC"]


@asynccontextmanager
async def producer(worker: Worker, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
    async with AIOKafkaProducer(bootstrap_servers=broker(worker.environment), **options) as made:
        yield made


def rows(name: str, count: int = 40) -> list[dict[str, Any]]:
    return [transaction(f"{name}{number}") for number in range(count)]


def send_with_librdkafka(worker: Worker, codec: str, name: str) -> None:
    sender = Producer({"bootstrap.servers": broker(worker.environment), "compression.type": codec})
    for each in rows(name):
        sender.produce(
            topic(worker, "TRANSACTIONS"), encoded(each), key=each["transaction_id"].encode()
        )
    assert sender.flush(30) == 0


async def test_every_codec_is_read_from_every_topic_by_worker_and_commands(
    worker: Worker,
) -> None:
    bad = {}
    for codec in CODECS:
        await asyncio.to_thread(send_with_librdkafka, worker, codec, f"l{codec}")
        async with producer(worker, compression_type=codec, linger_ms=50) as sender:
            for each in rows(f"a{codec}"):
                key = each["transaction_id"].encode()
                await sender.send(topic(worker, "TRANSACTIONS"), encoded(each), key=key)
            bad[codec] = f"no transaction, in {codec}, in {codec}, in {codec}".encode()
            await sender.send(topic(worker, "TRANSACTIONS"), bad[codec])
            await sender.send_and_wait(topic(worker, "DECISIONS"), b"junk" * 100, partition=0)
            await sender.send_and_wait(topic(worker, "DEAD_LETTERS"), bad[codec] * 10, partition=0)
    total = 2 * len(CODECS) * 40
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == total)
    await readback.eventually(lambda: worker.stats()["dead_letters"]["total"] == len(CODECS))
    listed = await asyncio.to_thread(worker.run, "dead-letters", "list")
    assert all(f"in {codec}" in listed for codec in CODECS)
    await readback.everywhere(worker.environment, total)
    assert await asyncio.to_thread(worker.terminate) == 0
    for folder in ("ledger", "faust"):
        await asyncio.to_thread(_remove, worker, folder)
    await asyncio.to_thread(worker.start)  # from the topics alone
    assert worker.stats()["decisions"]["total"] == total


def _remove(worker: Worker, folder: str) -> None:
    shutil.rmtree(worker.data_dir / folder)


async def test_every_codec_a_topic_is_set_to_is_read(new_worker: Callable[..., Worker]) -> None:
    worker = await asyncio.to_thread(new_worker)
    for count, codec in enumerate(CODECS, start=1):
        sent = count * 40
        for name in ("TRANSACTIONS", "DECISIONS", "DEAD_LETTERS"):
            await configure(
                worker.environment["FRAUD_BROKER_URL"],
                topic(worker, name),
                {"compression.type": codec},
            )
        await send_transactions(worker.environment, rows(codec))
        await send(worker.environment, [(b"k", b"bad in " + codec.encode())])
        await readback.eventually(lambda n=sent: worker.stats()["decisions"]["total"] == n)  # type: ignore[misc]
        worker.kill()
        await asyncio.to_thread(_remove, worker, "ledger")
        await asyncio.to_thread(worker.start)
        # What was counted last may not have been in the changelog yet; the index knows it.
        await readback.eventually(lambda n=sent: worker.stats()["decisions"]["total"] == n)  # type: ignore[misc]
    await readback.everywhere(worker.environment, sent)
    listed = await asyncio.to_thread(worker.run, "dead-letters", "list")
    assert all(f"bad in {codec}" in listed for codec in CODECS)


async def test_transactions_are_decided_when_they_are_committed_and_lag_comes_to_nothing(
    worker: Worker, unique: str
) -> None:
    names = ("TRANSACTIONS", "DECISIONS", "DEAD_LETTERS")
    async with producer(worker, transactional_id=unique) as sender:
        for number in range(4):
            await sender.begin_transaction()
            for each in rows(f"aborted{number}-", 10):
                await send_to_all(worker, sender, names, each)
            await sender.abort_transaction()
            async with sender.transaction():
                for each in rows(f"committed{number}-", 10):
                    await send_to_all(worker, sender, names[:1], each)
        await sender.begin_transaction()
        for each in rows("open", 10):
            await send_to_all(worker, sender, names[:1], each)
        await readback.eventually(lambda: worker.stats()["decisions"]["total"] == 40)
        await readback.eventually(
            lambda: math.inf > lag(worker) >= 10
        )  # markers are read past as well
        await sender.abort_transaction()
        async with sender.transaction():  # the same again, with another payload: no conflict
            for number in range(10):
                await send_to_all(worker, sender, names[:1], transaction(f"open{number}", seed=1))
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == 50)
    stats = worker.stats()
    assert (stats["duplicates"], stats["dead_letters"]["total"]) == (0, 0)
    await readback.eventually(lambda: lag(worker) == 0)
    assert "0 dead letters" in await asyncio.to_thread(worker.run, "dead-letters", "list")
    await readback.everywhere(worker.environment, 50)
    worker.kill()
    for folder in ("ledger", "faust"):  # the markers of transactions are the last of the log
        await asyncio.to_thread(_remove, worker, folder)
    await asyncio.to_thread(worker.start)
    assert worker.stats()["decisions"]["total"] == 50
    await readback.eventually(lambda: lag(worker) == 0)


async def test_an_open_transaction_in_the_decision_log_is_waited_for_and_told(
    new_worker: Callable[..., Worker], unique: str
) -> None:
    worker = await asyncio.to_thread(new_worker)
    await send_transactions(worker.environment, rows("before"))
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == 40)
    async with producer(worker, transactional_id=unique) as sender:
        await sender.begin_transaction()
        for partition in range(4):
            await sender.send_and_wait(topic(worker, "DECISIONS"), b"x", partition=partition)
        await send_transactions(worker.environment, rows("during"))
        await readback.eventually(lambda: len(readback.in_redis(worker.environment)) >= 40)
        await sender.abort_transaction()
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == 80)
    await readback.everywhere(worker.environment, 80)


async def test_markers_of_transactions_at_the_end_of_changelogs_hold_no_worker(
    new_worker: Callable[..., Worker], kafka: Kafka, unique: str
) -> None:
    changelogs = [f"{unique}-{name}-changelog" for name in ("decision-counts", "partition-reports")]
    for each in changelogs:  # nothing but markers
        await create(kafka.url, each, 4, cleanup_policy="compact")
        await leave_markers(kafka, each, unique)
    worker = await asyncio.to_thread(new_worker)
    await send_transactions(worker.environment, rows("a"))
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == 40)
    for folder in (None, "faust"):  # behind what is on disk, and without it
        assert await asyncio.to_thread(worker.terminate) == 0
        for each in changelogs:
            await leave_markers(kafka, each, unique)
        if folder:
            await asyncio.to_thread(_remove, worker, folder)
        await asyncio.to_thread(worker.start)
        assert worker.stats()["decisions"]["total"] == 40
    await send_transactions(worker.environment, rows("b"))
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == 80)


async def leave_markers(kafka: Kafka, name: str, transactional_id: str) -> None:
    """End one transaction, or more, in each partition of a topic: committed, aborted, and both."""
    async with AIOKafkaProducer(
        bootstrap_servers=kafka.url.removeprefix("kafka://"), transactional_id=transactional_id
    ) as sender:
        for partition, ends in enumerate(([True], [False], [True, False], [False, True])):
            for committed in ends:
                await sender.begin_transaction()
                await sender.send_and_wait(name, b"x", key=b"x", partition=partition)
                await (sender.commit_transaction if committed else sender.abort_transaction)()


async def send_to_all(
    worker: Worker, sender: AIOKafkaProducer, names: Iterable[str], row: dict[str, Any]
) -> None:
    for name in names:
        await sender.send(topic(worker, name), encoded(row), key=row["transaction_id"].encode())


def lag(worker: Worker) -> float:
    """Messages that are not dealt with, as the page and Prometheus have them; the larger sum.

    Infinite while one of them does not know yet.
    """
    _, details = worker.get("/stats/details")
    page = [each["lag"] for each in details["partitions"]]
    lines = worker.text("/metrics")[1].splitlines()
    values = [line for line in lines if line.startswith("fraud_consumer_lag_messages{")]
    if None in page or len(page) < 4 or len(values) < 4:
        return math.inf
    return float(max(sum(page), sum(float(line.split()[-1]) for line in values)))


async def test_what_unpacks_to_more_than_any_limit_is_a_dead_letter(worker: Worker) -> None:
    async with producer(
        worker,
        compression_type="gzip",
        max_request_size=2 * LARGE,
        max_batch_size=2 * LARGE,
    ) as sender:
        bomb = b"x" * LARGE
        await sender.send_and_wait(topic(worker, "TRANSACTIONS"), bomb, partition=0)
    await send_transactions(worker.environment, rows("after"))
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == 40)
    await readback.eventually(lambda: worker.stats()["dead_letters"]["total"] == 1)
    (dead_letter,) = await readback.in_topic(worker.environment, "dead_letters")
    headers = {name: value.decode() for name, value in dead_letter.headers}
    assert headers["raw-bytes"] == str(LARGE)
    assert bomb.startswith(dead_letter.value)


async def test_what_the_broker_deleted_before_it_was_read_is_told_and_counted(
    worker: Worker,
) -> None:
    await send_transactions(worker.environment, rows("before"))
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == 40)
    # What is deleted before any commit is not known to be lost.
    await readback.acknowledged(worker.environment, 40)
    await asyncio.to_thread(worker.terminate)
    async with producer(worker) as sender:
        for partition in range(4):
            for _ in range(10):
                name = topic(worker, "TRANSACTIONS")
                sent = await sender.send_and_wait(name, b"lost", partition=partition)
            url = worker.environment["FRAUD_BROKER_URL"]
            await cut_before(url, name, partition, sent.offset + 1)
    await asyncio.to_thread(worker.start)
    await send_transactions(worker.environment, rows("after"))
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == 80)
    lines = worker.text("/metrics")[1].splitlines()
    lost = [each.split()[-1] for each in lines if each.startswith("fraud_lost_messages_total{")]
    assert [*map(float, lost)] == [10.0] * 4
    assert worker.log.read_text().count("was deleted from offset") == 4
    assert worker.stats()["dead_letters"]["total"] == 0


# Foreign records: whatever the format of Kafka allows.

JUNK: list[bytes | None] = [
    None,
    b"",
    b"\xff\xfe\x00",
    b"null",
    b"[" * 5_000,
    b'{"a":' * 5_000,
    b"[" * 5_000 + b"]" * 5_000,
    b"1" * 5_000,
    b'"\xff"',
]
TIMES = (-1, 0, 1, 2**62, 2**63 - 1, 1_700_000_000_000)


class Name(str):
    """A header name of any bytes."""

    def encode(self, *args: Any) -> bytes:
        """The bytes that Latin-1 stands for."""
        return str.encode(self, "latin-1")


async def send_foreign(
    worker: Worker, name: str, records: Iterable[tuple[bytes | None, bytes | None]]
) -> int:
    """Send records with hostile headers and timestamps, each to every partition."""
    count = 0
    async with producer(worker) as sender:
        for partition in range(4):
            for number, (key, value) in enumerate(records):
                batch = sender.create_batch()
                builder = _DefaultRecordBatchBuilderPy(2, 0, 0, -1, -1, 0, 10_000_000)
                headers = [(Name("\xff\xfeorigin"), b"\xff"), ("origin", b"\xff"), ("reason", None)]
                headers += [("origin", f"{topic(worker, 'TRANSACTIONS')}/3/5".encode())]
                builder.append(0, TIMES[number % len(TIMES)], key, value, headers)
                batch._builder, batch._relative_offset = builder, 1
                batch.close()
                sent = await sender.send_batch(batch, topic(worker, name), partition=partition)
                await sent
                count += 1
    return count


async def set_topic(worker: Worker, name: str, options: dict[str, str]) -> None:
    await configure(worker.environment["FRAUD_BROKER_URL"], topic(worker, name), options)


def forged(**changes: Any) -> bytes:
    """A decision as we write it, but for these fields."""
    good = msgspec.to_builtins(decision("forged"))
    good["transaction"] |= changes.pop("transaction", {})
    return json.dumps(good | changes).encode()


FORGED = [
    (b"forged", forged(score=-1)),
    (b"forged", forged(score=1.0000001)),
    (b"forged", forged(score=1e300)),
    (b"forged", forged(decided_at="2026-01-01T00:00:00")),
    (b"forged", forged(decided_at="0001-01-01T00:00:00+14:00")),
    (b"forged", forged(decided_at="9999-12-31T23:59:59Z")),
    (b"forged", forged(offset=2**70)),
    (b"forged", forged(partition=-1)),
    (
        b"forged",
        forged(transaction_id="\u0000cursor", transaction={"transaction_id": "\u0000cursor"}),
    ),
    (b"forged", forged(transaction={"nameOrig": "a\nb"})),
    (b"forged", forged(model_version="\u0000")),
    (b"forged", forged(transaction={"transaction_id": "another"})),
    (b"another", forged()),
    (None, forged()),
    (b"forged", forged().replace(b'"C1"', b'"\xff"')),
]


async def test_foreign_records_on_any_topic_end_no_worker_and_count_for_nothing(
    worker: Worker,
) -> None:
    app_id = worker.environment["FRAUD_APP_ID"]
    await send_transactions(worker.environment, rows("before"))
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == 40)
    environment = {
        **worker.environment,
        "FRAUD_COUNTS_TOPIC": f"{app_id}-decision-counts-changelog",
        "FRAUD_REPORTS_TOPIC": f"{app_id}-partition-reports-changelog",
        "FRAUD_QUALITY_TOPIC": f"{app_id}-quality-changelog",
        "FRAUD_LABELLED_TOPIC": f"{app_id}-labelled",
    }
    worker.environment = environment
    tables = ("COUNTS", "REPORTS", "QUALITY")
    names = ("TRANSACTIONS", "DECISIONS", "DEAD_LETTERS", "LABELS", "LABELLED", *tables)
    for name in names:
        await set_topic(worker, name, {"message.timestamp.after.max.ms": str(2**63 - 1)})
    keys = [None, b"", b"\xff", b"forged"]
    dead_letters = 4 * len(JUNK) * len(keys)
    for name in ("TRANSACTIONS", "DECISIONS", "DEAD_LETTERS"):
        await send_foreign(worker, name, [(key, value) for value in JUNK for key in keys])
    decisions = dead_letters + await send_foreign(worker, "DECISIONS", FORGED)
    for name in ("LABELS", "LABELLED"):
        await send_foreign(worker, name, [(key, value) for value in JUNK for key in keys])
    for name in tables:
        pairs = [(key, value) for value in JUNK for key in (b"", b"\xff", b"0", b'"0"', b"-1")]
        await send_foreign(worker, name, pairs)
    await send_transactions(worker.environment, rows("after"))

    def right() -> bool:
        stats = worker.stats()
        return (stats["decisions"]["total"], stats["dead_letters"]["total"]) == (80, dead_letters)

    await readback.eventually(right)
    await readback.everywhere(worker.environment, 80)
    assert worker.child.running
    # Of transactions, of labels, and what was written to the topic of dead letters itself.
    told = f"{3 * dead_letters} dead letters"
    await readback.eventually(lambda: told in worker.run("dead-letters", "list"))
    worker.kill()
    for folder in ("ledger", "faust"):
        await asyncio.to_thread(_remove, worker, folder)
    await asyncio.to_thread(worker.start)  # all of it is read again
    await readback.eventually(right)
    assert worker.get("/transaction/forged/status")[0] == 404
    name = f'fraud_foreign_records_total{{topic="{topic(worker, "DECISIONS")}"}}'
    await readback.eventually(lambda: f"{name} {float(decisions)}" in worker.text("/metrics")[1])
    assert worker.log.read_text().count("skipped foreign record") > 0
    await send_transactions(worker.environment, rows("later"))
    await readback.everywhere(worker.environment, 120)
