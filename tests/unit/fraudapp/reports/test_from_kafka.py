"""Dead letters and latency are read from Kafka, whatever else others have put there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.kafka.offsets import End
from fraudapp.reports import from_kafka
from fraudapp.reports.from_postgres import Sampled
from fraudapp.settings import Settings, load
from fraudapp.sinks.postgres.day_partitions import moments
from models.inputs import Cause

SETTINGS = load({})
LETTERS, SENT = SETTINGS.dead_letters_topic, SETTINGS.transactions_topic
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
FIRST, LAST = moments(datetime(2026, 1, 2, tzinfo=timezone.utc).date())


def ms(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


class MemoryConsumer:
    """Topics as lists of records, with as much of a consumer as the reports use."""

    def __init__(self) -> None:
        self.records: dict[TopicPartition, list[ConsumerRecord]] = {}
        self.begins: dict[TopicPartition, int] = {}
        """The first offset that is not deleted, where it is not 0."""
        self.stable: dict[TopicPartition, int] = {}
        """The last stable offset, where a transaction is open."""
        self._client = SimpleNamespace(_wait_on_metadata=self._partitions)
        self._assigned: list[TopicPartition] = []
        self._position: dict[TopicPartition, int] = {}

    def put(
        self,
        topic: str,
        partition: int,
        timestamp: int,
        headers: Sequence[tuple[str, bytes]] = (),
        *,
        offset: int | None = None,
    ) -> int:
        """Append a record and return its offset; offsets before it are of no record."""
        there = self.records.setdefault(TopicPartition(topic, partition), [])
        offset = (there[-1].offset + 1 if there else 0) if offset is None else offset
        there.append(
            ConsumerRecord(
                topic, partition, offset, timestamp, 0, None, b"", None, -1, 0, tuple(headers)
            )
        )
        return offset

    async def _partitions(self, topic: str) -> set[int]:
        return {each.partition for each in self.records if each.topic == topic}

    async def offsets_for_times(self, times: Mapping[TopicPartition, int]) -> dict[Any, Any]:
        assert min(times.values(), default=0) >= 0, "Kafka refuses it"
        return {
            partition: next(
                (
                    SimpleNamespace(offset=each.offset)
                    for each in self.records[partition]
                    if each.timestamp >= time
                ),
                None,
            )
            for partition, time in times.items()
        }

    async def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[Any, int]:
        return {each: self.begins.get(each, 0) for each in partitions}

    def assign(self, partitions: list[TopicPartition]) -> None:
        self._assigned = partitions

    def seek(self, partition: TopicPartition, offset: int) -> None:
        assert partition in self._assigned
        self._position[partition] = offset

    async def position(self, partition: TopicPartition) -> int:
        return self._position[partition]

    async def getmany(
        self, partition: TopicPartition, *, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        position, end = self._position[partition], self.end(partition)
        assert position >= self.begins.get(partition, 0), "it is deleted"
        found = [each for each in self.records[partition] if position <= each.offset < end.stable]
        found = found[:max_records]
        self._position[partition] = found[-1].offset + 1 if found else end.stable
        return {partition: found} if found else {}

    def end(self, partition: TopicPartition) -> End:
        high_water = self.records[partition][-1].offset + 1
        return End(high_water, self.stable.get(partition, high_water))


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> MemoryConsumer:
    consumer = MemoryConsumer()

    @asynccontextmanager
    async def started(settings: Settings, **options: Any) -> AsyncIterator[MemoryConsumer]:
        yield consumer

    async def ends(_: MemoryConsumer, partitions: Iterable[TopicPartition]) -> dict[Any, End]:
        return {each: consumer.end(each) for each in partitions}

    monkeypatch.setattr(from_kafka, "started_consumer", started)
    monkeypatch.setattr(from_kafka, "ends", ends)
    return consumer


def letter(reason: str) -> list[tuple[str, bytes]]:
    return [("reason", reason.encode())]


async def test_dead_letters_of_the_day_are_counted_in_all_partitions_the_most_first(
    consumer: MemoryConsumer,
) -> None:
    noon = ms(FIRST) + 12 * 3_600_000
    for partition in range(3):
        consumer.put(LETTERS, partition, noon, letter("invalid"))
    consumer.put(LETTERS, 1, noon, letter("conflict"))
    consumer.put(SENT, 0, noon, letter("refused"))
    counts = await from_kafka.dead_letters(SETTINGS, FIRST, LAST)
    assert list(counts.items()) == [("invalid", 3), ("conflict", 1)]


async def test_the_day_ends_with_its_last_millisecond(consumer: MemoryConsumer) -> None:
    begin, end = ms(FIRST), ms(FIRST) + 24 * 3_600_000 - 1
    for timestamp in (begin - 1, begin, end, end + 1):
        consumer.put(LETTERS, 0, timestamp, letter("invalid"))
    assert await from_kafka.dead_letters(SETTINGS, FIRST, LAST) == {"invalid": 2}


async def test_no_record_of_another_program_hides_a_dead_letter(consumer: MemoryConsumer) -> None:
    noon = ms(FIRST) + 12 * 3_600_000
    for number in range(250):  # more than one fetch has
        consumer.put(LETTERS, 0, noon if number % 2 else ms(LAST) + 1_000, letter("invalid"))
    for headers in ([], [("reason", b"\xff")], letter("made up"), [("reason", None)]):
        consumer.put(LETTERS, 0, noon, headers)  # type: ignore[arg-type]
    consumer.put(LETTERS, 0, noon, letter("unscored"))
    counts = await from_kafka.dead_letters(SETTINGS, FIRST, LAST)
    assert counts == {"invalid": 125, "unknown": 4, "unscored": 1}


async def test_a_transaction_that_is_open_is_not_waited_for(consumer: MemoryConsumer) -> None:
    noon = ms(FIRST) + 12 * 3_600_000
    for _ in range(2):
        consumer.put(LETTERS, 0, noon, letter("invalid"))
    consumer.stable[TopicPartition(LETTERS, 0)] = 1
    assert await from_kafka.dead_letters(SETTINGS, FIRST, LAST) == {"invalid": 1}


@pytest.mark.parametrize("year", [1, 1969, 1970, 9999])
async def test_any_day_of_the_calendar_can_be_asked_for(
    consumer: MemoryConsumer, year: int
) -> None:
    first, last = moments(datetime(year, 12, 31, tzinfo=timezone.utc).date())
    if year > 1969:
        consumer.put(LETTERS, 0, ms(last), letter("invalid"))
    found = await from_kafka.dead_letters(SETTINGS, first, last)
    assert found == ({"invalid": 1} if year > 1969 else {})


@pytest.mark.parametrize("reason", get_args(Cause))
async def test_every_reason_is_counted_under_its_name(
    consumer: MemoryConsumer, reason: str
) -> None:
    consumer.put(LETTERS, 0, ms(FIRST), letter(reason))
    assert await from_kafka.dead_letters(SETTINGS, FIRST, LAST) == {reason: 1}


async def measured(consumer: MemoryConsumer, delays: Sequence[timedelta]) -> Any:
    """Return the latency of transactions that were decided so long after they were sent."""
    sample = []
    for number, delay in enumerate(delays):
        offset = consumer.put(SENT, number % 3, ms(FIRST))
        sample.append(Sampled(SENT, number % 3, offset, FIRST + delay))
    return await from_kafka.latency(SETTINGS, sample)


async def test_latency_is_the_nearest_rank_in_seconds(consumer: MemoryConsumer) -> None:
    found = await measured(consumer, [timedelta(seconds=second) for second in range(1, 101)])
    assert (found.sample, found.p50, found.p95, found.p99) == (100, 50.0, 95.0, 99.0)


async def test_what_was_decided_before_it_was_sent_took_no_time(consumer: MemoryConsumer) -> None:
    found = await measured(consumer, [timedelta(seconds=-5)])
    assert (found.sample, found.p50, found.p99) == (1, 0.0, 0.0)


async def test_a_transaction_that_kafka_does_not_have_is_left_out(
    consumer: MemoryConsumer,
) -> None:
    there = TopicPartition(SENT, 0)
    for _ in range(4):
        consumer.put(SENT, 0, ms(FIRST))
    consumer.put(SENT, 0, -1)
    consumer.put(SENT, 0, ms(FIRST), offset=7)  # compaction has removed the records before
    consumer.put(SENT, 0, ms(FIRST))
    consumer.begins[there], consumer.stable[there] = 2, 8
    at = FIRST + timedelta(seconds=1)
    gone = [
        Sampled(SENT, 0, 1, at),  # deleted
        Sampled(SENT, 0, 4, at),  # without a timestamp
        Sampled(SENT, 0, 6, at),  # compacted
        Sampled(SENT, 0, 8, at),  # in an open transaction
        Sampled(SENT, 0, 99, at),  # after the end
        Sampled(SENT, 9, 0, at),  # of a partition that is gone
        Sampled("another-topic", 0, 2, at),
    ]
    assert await from_kafka.latency(SETTINGS, gone) is None
    found = await from_kafka.latency(SETTINGS, [*gone, Sampled(SENT, 0, 3, at)])
    assert found
    assert (found.sample, found.p50) == (1, 1.0)


@given(st.lists(st.integers(0, 10**9), min_size=1), st.sampled_from([50, 95, 99]))
def test_as_many_values_as_it_says_are_within_a_percentile(
    milliseconds: list[int], percent: int
) -> None:
    values = sorted(each / 1_000 for each in milliseconds)
    found = from_kafka._percentile(values, percent)
    assert found in values
    assert 100 * sum(each <= found for each in values) >= percent * len(values)
    assert 100 * sum(each < found for each in values) < percent * len(values)


@given(st.datetimes(timezones=st.just(timezone.utc)))
def test_a_moment_is_the_millisecond_in_which_it_is(moment: datetime) -> None:
    begin = EPOCH + timedelta(milliseconds=from_kafka._ms(moment))
    assert timedelta() <= moment - begin < timedelta(milliseconds=1)
