"""Checkpoints and purges of a sink outlast committed offsets and foreign records."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from confluent_kafka.admin import AdminClient

from fraudapp.decisions.fingerprints import fingerprint_of
from fraudapp.kafka import topics as kafka_topics
from fraudapp.kafka.clients import started_consumer
from fraudapp.kafka.producer import NewRecord
from fraudapp.local.processes import POLL_INTERVAL
from fraudapp.local.server import Server
from fraudapp.settings import Settings, load
from fraudapp.sinks.progress import Progress
from fraudapp.sinks.progress_records import Purged, entry_of, written
from tests.integration.test_sink_writer import PARTITIONS, PATIENCE, Bench, HeldSink
from tests.support.decisions import DECIDED_AT

DAY = timedelta(days=1)


@pytest.fixture
def settings(kafka: Server, topics: dict[str, str], tmp_path: Path) -> Settings:
    return load(
        {
            **topics,
            "FRAUD_BROKER_URL": kafka.url,
            "FRAUD_DATA_DIR": str(tmp_path),
            "FRAUD_TOPIC_PARTITIONS": str(PARTITIONS),
        }
    )


@pytest.fixture
async def bench(settings: Settings) -> AsyncIterator[Bench]:
    await kafka_topics.ensure(settings)
    bench = Bench(settings, HeldSink(0.0))
    await bench.start()
    yield bench
    await bench.stop()


async def set_committed(settings: Settings, offsets: dict[int, int]) -> None:
    """Set committed offsets of the sink, as `kafka-consumer-groups.sh --reset-offsets` does."""
    async with started_consumer(settings, f"{settings.app_id}-held") as consumer:
        topic = settings.decisions_topic
        consumer.assign([TopicPartition(topic, partition) for partition in offsets])
        await consumer.commit(
            {
                TopicPartition(topic, partition): OffsetAndMetadata(offset, "")
                for partition, offset in offsets.items()
            }
        )


async def expire_offsets(settings: Settings) -> None:
    """Delete the committed offsets of the sink, which expire after seven quiet days."""
    admin = AdminClient({"bootstrap.servers": ",".join(settings.bootstrap_servers)})
    for done in admin.delete_consumer_groups([f"{settings.app_id}-held"]).values():
        await asyncio.to_thread(done.result)


async def caught_up(bench: Bench) -> None:
    async def no_lag() -> None:
        while bench.sink_writer.lag:
            await asyncio.sleep(0.01)

    await asyncio.wait_for(no_lag(), PATIENCE)


async def saved_again(bench: Bench) -> list[str]:
    """Let another worker follow the log, and return the old decisions that it saves again."""
    before = list(bench.appended)
    await bench.start_again()
    await bench.append(0)
    await bench.append(1)
    await caught_up(bench)
    new = bench.appended[len(before) :]
    assert set(new) <= set(bench.sink.kept)
    return sorted(set(bench.sink.kept) - set(new))


async def test_nothing_is_saved_again_after_the_committed_offsets_have_expired(
    bench: Bench, settings: Settings
) -> None:
    await bench.append(0, 30)
    await bench.append(1, 3)
    await bench.all_kept()
    await bench.sink_writer.stop()
    await expire_offsets(settings)
    assert await saved_again(bench) == []


async def test_without_a_note_the_committed_offset_counts_and_is_noted(
    bench: Bench, settings: Settings
) -> None:
    await bench.append(0, 30)
    await bench.append(1, 3)
    await bench.all_kept()
    await bench.sink_writer.stop()
    await bench.progress.note("held", {0: None, 1: None})  # as a version without notes leaves it
    await bench.start_again()
    assert bench.sink.kept == []
    await bench.sink_writer.stop()
    await expire_offsets(settings)
    assert await saved_again(bench) == []


async def test_a_committed_offset_that_was_set_back_counts_until_the_sink_has_caught_up(
    bench: Bench, settings: Settings
) -> None:
    await bench.append(0, 30)
    await bench.append(1, 3)
    await bench.all_kept()
    await bench.sink_writer.stop()
    await set_committed(settings, {0: 20, 1: 0})
    bench.sink.gate.clear()  # nothing is saved before the next worker comes
    await bench.start_again()
    bench.sink_writer._running.cancel()  # type: ignore[union-attr]
    await bench.sink_writer.stop()
    await expire_offsets(settings)
    bench.sink.gate.set()
    assert await saved_again(bench) == sorted(bench.appended[20:33])


async def test_a_committed_offset_that_was_set_forward_skips_nothing(
    bench: Bench, settings: Settings
) -> None:
    bench.sink.gate.clear()
    await bench.append(0, 30)
    bench.sink_writer._running.cancel()  # type: ignore[union-attr]
    await bench.sink_writer.stop()
    await set_committed(settings, {0: 31})
    bench.sink.gate.set()
    assert await saved_again(bench) == sorted(bench.appended[:30])


async def test_purged_days_do_not_come_back_from_the_log_and_other_days_do(
    bench: Bench, settings: Settings
) -> None:
    for partition in range(PARTITIONS):
        await bench.append(partition, 10)
        await bench.append(partition, 10, decided_at=DECIDED_AT + DAY)
    await bench.all_kept()
    purger = Progress(settings, bench._producer, ["held"])
    await purger.start()
    await purger.current()
    await purger.mark("held", DECIDED_AT.date() + DAY)
    await purger.mark("held", date(2020, 1, 1))  # an earlier day changes nothing
    await bench.progress.current()  # running workers have read the mark
    await bench.append(0)
    await caught_up(bench)
    assert bench.appended[-1] not in bench.sink.kept
    await bench.sink_writer.stop()
    await set_committed(settings, {0: 0, 1: 0})
    kept = {*bench.appended[10:20], *bench.appended[30:40]}
    await bench.start_again()
    await caught_up(bench)
    assert set(bench.sink.kept) == kept
    await purger.mark("held", date(2020, 1, 1), take_back=True)
    await purger.stop()
    await bench.sink_writer.stop()
    await set_committed(settings, {0: 0, 1: 0})
    await bench.start_again()
    await caught_up(bench)
    assert set(bench.sink.kept) == set(bench.appended)


async def test_a_purge_while_a_sink_is_down_counts_when_it_is_back(bench: Bench) -> None:
    bench.sink.gate.clear()
    await bench.append(0, 10)
    await bench.sink.asked.wait()
    await bench.append(0, 10)
    await bench.append(1, 10, decided_at=DECIDED_AT + DAY)
    await bench.progress.mark("held", DECIDED_AT.date() + DAY)
    bench.sink.gate.set()
    await caught_up(bench)
    assert set(bench.sink.kept) == {*bench.appended[:10], *bench.appended[20:]}


FOREIGN = [
    (b"held/0", b"junk"),
    (b"held/0", b'{"offset": -1, "transaction_id": "t", "digest": "0011223344556677"}'),
    (b"held/0", b'{"offset": 9e99, "transaction_id": "t", "digest": "0011223344556677"}'),
    (b"held/0", b'{"offset": 1, "transaction_id": "\xff", "digest": "0011223344556677"}'),
    (b"held/0", b'{"offset": 1, "transaction_id": "t", "digest": "x"}'),
    (b"held/7", b'{"offset": 1, "transaction_id": "t", "digest": "0011223344556677"}'),
    (b"held/00", None),
    (b"nobody/0", None),
    (b"nobody/purged", b'{"before": "2020-01-01"}'),
    (b"held/purged", b'{"before": "9999-12-31"}'),
    (b"held/purged", b'{"before": 7}'),
    (b"held/purged", b""),
    (b"held/purged", None),
    (b"\xff", b"\xff"),
    (b"", b""),
]


async def test_asking_for_the_end_does_not_wait_for_the_next_record(
    bench: Bench, settings: Settings
) -> None:
    patient = settings.model_copy(update={"broker_fetch_wait": 30.0})
    following = Progress(patient, bench._producer, ["held"])
    await bench.progress.note("held", {0: fingerprint_of(5, "nowhere", b"{}")})
    await following.start()
    await asyncio.wait_for(following.current(), PATIENCE)
    assert following.reached("held", 0) is not None
    # A fetch waits at the broker by now, which answers the requests of a connection in turn.
    await asyncio.wait_for(following.current(), PATIENCE)
    await following.stop()


async def noted_last(settings: Settings) -> object:
    """Return the purge that compaction leaves in the topic."""
    last: object = None
    async with started_consumer(settings) as consumer:
        partition = TopicPartition(settings.progress_topic, 0)
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        while await consumer.position(partition) < end:
            record = await consumer.getone(partition)
            if record.key == b"held/purged":
                with suppress(ValueError):
                    last = record.value
                    last = entry_of(record.key, record.value)
    return last


async def noted(settings: Settings, before: date) -> None:
    while getattr(await noted_last(settings), "before", None) != before:
        await asyncio.sleep(POLL_INTERVAL)


@pytest.mark.parametrize("value", [b"junk", b'{"before": "2999-01-01"}', None])
async def test_a_purge_is_written_again_after_somebody_has_overwritten_it(
    bench: Bench, settings: Settings, value: bytes | None
) -> None:
    other = Progress(settings, bench._producer, ["held"])
    await other.start()
    for before in (date(2020, 1, 1), date(2020, 1, 2)):
        await bench.progress.mark("held", before)
        for _ in range(3):
            record: NewRecord = (b"held/purged", value, [])
            await bench._producer.append(settings.progress_topic, 0, [record], "testing")
        await asyncio.wait_for(noted(settings, before), PATIENCE)
    # A worker that has not read the last purge may repeat an earlier one, which undoes nothing.
    late = written(Purged("held", date(2020, 1, 1), again=True))
    await bench._producer.append(settings.progress_topic, 0, [late], "testing")
    await asyncio.wait_for(noted(settings, date(2020, 1, 2)), PATIENCE)
    await bench.progress.mark("held", date(2019, 1, 1), take_back=True)
    await other.current()
    assert bench.progress.purged("held") == other.purged("held") == date(2019, 1, 1)
    await other.stop()


async def test_foreign_records_are_skipped(
    bench: Bench, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.append(0, 3)
    await bench.all_kept()
    await bench.sink_writer.stop()
    await bench._producer.append(
        settings.progress_topic, 0, [(key, value, []) for key, value in FOREIGN], "testing"
    )
    async with AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap_servers, transactional_id=settings.app_id
    ) as other:
        await other.begin_transaction()
        await other.send_and_wait(settings.progress_topic, b"junk", key=b"x", partition=0)
        # The transaction is open: records after it are read all the same.
        await bench.progress.note("held", {1: fingerprint_of(5, "nowhere", b"{}")})
        again = Progress(settings, bench._producer, ["held"])
        await again.start()
        await asyncio.wait_for(again.current(), PATIENCE)
        assert again.reached("held", 0) == bench.progress.reached("held", 0)
        assert again.reached("held", 0) is not None
        assert again.reached("held", 1) == fingerprint_of(5, "nowhere", b"{}")
        assert again.purged("held") is None
        await again.stop()
        await other.abort_transaction()
    assert caplog.text.count("skipped foreign record") == len(FOREIGN) + 1
    await bench.append(1, 3)
    assert await saved_again(bench) == sorted(bench.appended[3:6])
    assert "held has partition 1 of the log up to 6" in caplog.text
