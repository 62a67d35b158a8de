"""The commit never passes a record batch that is in flight."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import time
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.consumer.fetcher import Fetcher, FetchResult
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import KafkaError
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import aiokafka
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP, Message
from hypothesis import given
from hypothesis import strategies as st
from mode import Service
from mode.threads import ServiceThread

from fraudapp.faust_app import new_app
from fraudapp.kafka.client_in_loop import ClientInLoop
from fraudapp.kafka.consumer import SafeConsumer
from fraudapp.kafka.lost_records import LostRecords
from fraudapp.kafka.record_batch import (
    MAX_BATCH_BYTES,
    MAX_BATCH_RECORDS,
    record_batch_of,
    record_batches,
)
from fraudapp.kafka.transport import SafeTransport
from fraudapp.settings import load

PARTITION = TP("transactions", 0)
OTHER = TP("transactions", 1)
CHANGELOG = TP("changelog", 0)


def record(offset: int, value: bytes = b"", tp: TP = PARTITION) -> ConsumerRecord:
    return ConsumerRecord(tp.topic, tp.partition, offset, 0, 0, None, value, 0, 0, len(value), ())


class FedConsumer(SafeConsumer):
    """A consumer that is fed these fetches, and needs no broker; Faust's own state is below it."""

    def __init__(self, *fetched: dict[TP, list[int]]) -> None:
        topics = SimpleNamespace(acks_enabled_for=lambda topic: topic == "transactions")
        monitor = SimpleNamespace(track_tp_end_offset=lambda tp, offset: None)
        self.app: Any = SimpleNamespace(
            topics=topics, monitor=monitor, consumer_generation_id=1, in_recovery=False
        )
        self.scheduler = DefaultSchedulingStrategy()  # type: ignore[abstract]
        self._acked = defaultdict(list)
        self._acked_index = defaultdict(set)
        self._unacked_messages = set()
        self._committed_offset = defaultdict(lambda: None)
        self._waiting_for_ack = None
        self._n_acked = 0
        self._stopped: Any = asyncio.Event()
        self._crashed: Any = asyncio.Event()
        self._fetched = list(fetched)
        self.active: set[TP] | None = None
        self.seeks_back = 0
        self.on_init()

    async def _wait_next_records(self, timeout: float) -> Any:
        fetched = self._fetched.pop(0) if self._fetched else {}
        return {
            tp: [record(offset, tp=tp) for offset in offsets] for tp, offsets in fetched.items()
        }, self.active

    def highwater(self, tp: TP) -> int:
        return 0

    async def deliver(self) -> list[Message]:
        """Return the messages of one fetch, unacknowledged as Faust's conductor has them."""
        delivered = [message async for _, message in self.getmany(1.0)]
        for message in delivered:
            self._unacked_messages.add(message)
        return delivered


@pytest.fixture(autouse=True)
def _seek_needs_no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    async def perform_seek(self: FedConsumer) -> None:
        self.seeks_back += 1

    monkeypatch.setattr(faust_consumer.Consumer, "perform_seek", perform_seek)


# Offsets as a topic gives them: increasing, with gaps where compaction or transactions left them.
offsets = st.sets(st.integers(0, 60), min_size=1, max_size=30).map(sorted)


def fetches_of(data: st.DataObject, log: list[int]) -> list[dict[TP, list[int]]]:
    """The log of one partition, divided into any number of fetches."""
    cuts = sorted(data.draw(st.sets(st.integers(0, len(log)), max_size=6)) | {0, len(log)})
    return [{PARTITION: log[a:b]} for a, b in itertools.pairwise(cuts)]


@given(log=offsets, data=st.data())
async def test_in_any_order_of_acknowledging_no_commit_passes_a_batch_in_flight(
    log: list[int], data: st.DataObject
) -> None:
    fetches = fetches_of(data, log)
    consumer = FedConsumer(*fetches)
    delivered = [message for _ in fetches for message in await consumer.deliver()]
    assert [
        each.offset for batch in map(record_batch_of, delivered) for each in batch.records
    ] == log
    committed = 0
    while delivered:
        consumer.acknowledge(delivered.pop(data.draw(st.integers(0, len(delivered) - 1))))
        if data.draw(st.booleans()):
            offset = consumer._new_offset(PARTITION)
            assert offset is not None
            assert all(record_batch_of(each).start >= offset for each in delivered)
            committed = max(committed, offset)
    assert max(committed, consumer._new_offset(PARTITION) or 0) == log[-1] + 1
    assert not consumer._unacked_messages


@given(log=offsets, data=st.data())
async def test_a_batch_delivered_before_a_seek_commits_nothing_after_it(
    log: list[int], data: st.DataObject
) -> None:
    fetches = fetches_of(data, log)
    consumer = FedConsumer(*fetches, *fetches)
    before = [message for _ in fetches for message in await consumer.deliver()]
    for each in before[: data.draw(st.integers(0, len(before)))]:
        consumer.acknowledge(each)
    await consumer.perform_seek()
    for each in data.draw(st.lists(st.sampled_from(before), unique_by=id)):
        consumer.acknowledge(each)
    assert consumer._new_offset(PARTITION) is None
    after = [message for _ in fetches for message in await consumer.deliver()]
    for each in before:
        consumer.acknowledge(each)
    assert consumer._new_offset(PARTITION) is None
    for each in after:
        consumer.acknowledge(each)
        assert consumer._new_offset(PARTITION) == record_batch_of(each).end


async def test_a_batch_without_its_records_is_acknowledged_as_with_them() -> None:
    consumer = FedConsumer({PARTITION: [3, 4, 7]})
    (message,) = await consumer.deliver()
    batch = record_batch_of(message)
    batch.drop_records()
    assert (record_batch_of(message).records, record_batch_of(message).size) == ((), 0)
    assert (
        record_batch_of(message).start,
        record_batch_of(message).end,
        record_batch_of(message).count,
    ) == (3, 8, 3)
    consumer.acknowledge(message)
    assert consumer._new_offset(PARTITION) == 8
    assert consumer._n_acked == 3


async def test_records_fetched_during_a_seek_are_dropped_and_fetched_again() -> None:
    consumer = FedConsumer({PARTITION: [7], OTHER: [8, 9]}, {PARTITION: [0, 1]})
    fetch = consumer.getmany(1.0)
    assert record_batch_of((await fetch.__anext__())[1]).start == 7
    await consumer.perform_seek()
    before = consumer._seeks
    assert [each async for each in fetch] == []
    # They may have been fetched after the seek. Without another one they would never come again.
    assert consumer._seeks > before
    assert [record_batch_of(each).end for each in await consumer.deliver()] == [2]


@pytest.mark.parametrize("started", ["before the seek", "during the seek"])
async def test_going_back_by_a_seek_is_not_taken_for_truncation(
    started: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sought = asyncio.Event()

    async def perform_seek(self: FedConsumer) -> None:
        await sought.wait()

    monkeypatch.setattr(faust_consumer.Consumer, "perform_seek", perform_seek)
    consumer = FedConsumer({PARTITION: [7, 8]}, {PARTITION: [0, 1]}, {PARTITION: [0, 1]})
    first = consumer.getmany(1.0)
    if started == "before the seek":
        await first.__anext__()
    seeking = asyncio.create_task(consumer.perform_seek())
    await asyncio.sleep(0)
    if started == "during the seek":
        await first.__anext__()
    second = consumer.getmany(1.0)  # after the seek, while batches from before it are in flight
    await second.__anext__()
    sought.set()
    await seeking
    assert [each async for each in second] == []
    assert [record_batch_of(each).end for each in await consumer.deliver()] == [2]
    assert not consumer._ending


@pytest.mark.parametrize("how", ["suspended", "generation", "inactive"])
async def test_batches_dropped_before_delivery_are_fetched_again(how: str) -> None:
    consumer = FedConsumer({PARTITION: [0], OTHER: [5]}, {PARTITION: [0], OTHER: [5]})
    fetch = consumer.getmany(1.0)
    await fetch.__anext__()
    if how == "suspended":
        consumer.flow_active = False
    elif how == "generation":
        consumer.app.consumer_generation_id = 2
    else:
        consumer = FedConsumer({PARTITION: [0], OTHER: [5]}, {PARTITION: [0], OTHER: [5]})
        consumer.active = {PARTITION}
        fetch = consumer.getmany(1.0)
        await fetch.__anext__()
    assert [each async for each in fetch] == []
    assert consumer.seeks_back == 0
    consumer.flow_active, consumer.active = True, None
    assert {each.partition for each in await consumer.deliver()} == {0, 1}
    assert consumer.seeks_back == 1


async def test_a_batch_that_faust_skips_holds_the_commit_until_it_is_delivered_again() -> None:
    consumer = FedConsumer({PARTITION: [0, 1]}, {PARTITION: [2, 3]})
    (skipped,), (last,) = await consumer.deliver(), await consumer.deliver()
    consumer.acknowledge(last)
    assert consumer.ack(skipped)  # as Faust does in a rebalance with messages that it skips
    assert consumer._new_offset(PARTITION) == 0
    assert not consumer._unacked_messages  # a rebalance is not held up by it
    assert consumer.seeks_back == 0
    await consumer.deliver()
    assert consumer.seeks_back == 1
    await consumer.deliver()
    assert consumer.seeks_back == 1


async def test_a_truncated_partition_is_left_to_its_next_owner() -> None:
    consumer = FedConsumer(
        {PARTITION: [0, 1, 2]}, {OTHER: [0], CHANGELOG: [0], PARTITION: [1]}, {OTHER: [1]}
    )
    committed: list[dict[TP, int]] = []
    ended: list[str] = []

    async def commit(offsets: dict[TP, int]) -> None:
        committed.append(offsets)

    consumer._thread = SimpleNamespace(commit=commit)  # type: ignore[assignment]
    consumer.transport = SimpleNamespace(end=lambda exc: ended.append(str(exc)))  # type: ignore
    (batch,) = await consumer.deliver()
    assert await consumer.deliver() == []
    assert committed == [{PARTITION: 1}]
    assert "transactions/0 had been read up to 3, and goes on at 1" in ended[0]
    consumer.acknowledge(batch)
    assert consumer._new_offset(PARTITION) is None
    assert await consumer.deliver() == []
    assert len(ended) == 1


async def test_changelogs_are_delivered_record_by_record() -> None:
    consumer = FedConsumer({CHANGELOG: [3, 4], PARTITION: [0, 1]})
    delivered = await consumer.deliver()
    assert sorted((each.topic, each.offset) for each in delivered) == [
        ("changelog", 3),
        ("changelog", 4),
        ("transactions", 1),
    ]


@given(
    sizes=st.lists(
        st.sampled_from([0, 10, MAX_BATCH_BYTES // 2, MAX_BATCH_BYTES, 3 * MAX_BATCH_BYTES])
    ),
    small=st.integers(0, 3 * MAX_BATCH_RECORDS),
)
def test_record_batches_are_bounded_in_count_and_bytes_and_leave_no_record_out(
    sizes: list[int], small: int
) -> None:
    value = bytes(3 * MAX_BATCH_BYTES)
    records = [record(n, value[:size]) for n, size in enumerate([*sizes, *[0] * small])]
    batches = list(record_batches(records))
    assert [each for batch in batches for each in batch.records] == records
    for batch in batches:
        assert 0 < len(batch.records) <= MAX_BATCH_RECORDS
        assert batch.size == sum(len(each.value) for each in batch.records)
        assert batch.size <= MAX_BATCH_BYTES or len(batch.records) == 1
        assert (batch.start, batch.end) == (batch.records[0].offset, batch.records[-1].offset + 1)


@pytest.mark.parametrize("where", ["key", "value", "header", "headers"])
def test_a_record_batch_is_bounded_whatever_holds_the_bytes(where: str) -> None:
    each = bytes(MAX_BATCH_BYTES // 10)
    held = {
        "key": (each, b"", ()),
        "value": (None, each, ()),
        "header": (None, None, (("name", each), ("none", None))),
        "headers": (None, b"", (("", None),) * (MAX_BATCH_BYTES // 64 // 10 + 1)),
    }
    key, value, headers = held[where]
    records = [ConsumerRecord("t", 0, n, 0, 0, key, value, 0, 0, 0, headers) for n in range(50)]
    assert all(len(batch.records) <= 10 for batch in record_batches(records))


def test_faust_drops_no_record_of_an_acknowledged_topic_as_already_read() -> None:
    consumer = FedConsumer()
    for tp in (PARTITION, CHANGELOG):
        consumer._read_offset[tp] = 9
    assert consumer._read_offset[PARTITION] is None
    assert consumer._read_offset[CHANGELOG] == 9


def test_without_an_acknowledged_batch_there_is_no_offset_to_commit() -> None:
    assert FedConsumer()._new_offset(PARTITION) is None


def test_faust_still_has_the_private_names_that_the_consumer_uses() -> None:
    assert SafeTransport.Consumer is SafeConsumer
    source = inspect.getsource(faust_consumer.Consumer)
    for name in (
        "_acked_index",
        "_unacked_messages",
        "_acked",
        "_n_acked >= commit_every",
        "notify(self._waiting_for_ack)",
        "perform_seek",
        "self.on_init()",
        "records, active_partitions = await self._wait_next_records(timeout)",
        "self.scheduler.iterate(records)",
        "def on_buffer_full(self, tp: TP)",
    ):
        assert name in source, f"Faust has changed: {name} is gone; see fraudapp/kafka/consumer.py"
    assert list(inspect.signature(faust_consumer.Consumer._new_offset).parameters) == ["self", "tp"]
    assert "self._new_offset(tp)" in source
    assert "await self._add_gap(tp" in source
    assert "getmany = self.getmany" in source
    assert "get_read_offset = self._read_offset.__getitem__" in source
    assert hasattr(aiokafka.Consumer, "_new_consumer_thread")
    assert "fetch_max_wait_ms" in inspect.getsource(
        aiokafka.AIOKafkaConsumerThread._create_worker_consumer
    )
    assert "fetch_max_wait_ms=self._fetch_max_wait_ms" in inspect.getsource(AIOKafkaConsumer.start)
    assert "self._fetcher = Fetcher(" in inspect.getsource(AIOKafkaConsumer.start)
    sending = inspect.getsource(Fetcher._fetch_requests_routine)
    assert "self._proc_fetch_request(assignment, node_id, request)," in sending
    assert "await self._client.send(node_id, request)" in inspect.getsource(
        Fetcher._proc_fetch_request
    )
    assert "await consumer.commit(aiokafka_offsets)" in inspect.getsource(
        aiokafka.AIOKafkaConsumerThread._commit
    )


async def test_records_that_the_broker_has_deleted_are_reported_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    consumer = FedConsumer(*[{PARTITION: [50, 51], CHANGELOG: [9], OTHER: [3]}] * 3)
    for _ in range(2):  # the second time after a seek
        consumer.lost.missing.update({PARTITION: 40, CHANGELOG: 5, OTHER: 7})
        await consumer.deliver()
        await consumer.perform_seek()
    assert caplog.messages == [
        "transactions/0 was deleted from offset 40 to 49 before it was decided: what it held is "
        "lost here; see retention.ms of the topic"
    ]
    consumer.lost.missing[PARTITION] = 45
    await consumer.perform_seek()
    assert not consumer.lost.missing


async def test_what_the_client_finds_missing_during_a_seek_is_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def perform_seek(self: FedConsumer) -> None:
        self.lost.missing[PARTITION] = 40

    consumer = FedConsumer({PARTITION: [50]})
    consumer.lost.missing[OTHER] = 7
    monkeypatch.setattr(faust_consumer.Consumer, "perform_seek", perform_seek)
    await consumer.perform_seek()
    assert consumer.lost.missing == {PARTITION: 40}
    await consumer.deliver()
    (told,) = caplog.messages
    assert told.startswith("transactions/0 was deleted from offset 40 to 49 ")


async def test_the_deleted_past_of_partitions_without_a_commit_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def seek_to_committed(self: FedConsumer) -> dict[TP, int | None]:
        return {PARTITION: None, OTHER: None, CHANGELOG: None, TP("transactions", 2): 5}

    async def earliest_offsets(self: FedConsumer, *partitions: TP) -> dict[TP, int]:
        return {tp: 20 if tp == PARTITION else 0 for tp in partitions}

    async def seek_wait(self: FedConsumer, partitions: dict[TP, int]) -> None:
        sought.append(partitions)

    sought: list[dict[TP, int]] = []
    monkeypatch.setattr(aiokafka.Consumer, "seek_to_committed", seek_to_committed)
    monkeypatch.setattr(FedConsumer, "earliest_offsets", earliest_offsets)
    monkeypatch.setattr(FedConsumer, "seek_wait", seek_wait)
    consumer = FedConsumer()
    for _ in range(2):
        await consumer.seek_to_committed()
    assert sought == [{PARTITION: 20, OTHER: 0}] * 2
    assert caplog.messages == [
        "nothing of transactions/0 is committed, and it begins at offset 20: what was before was "
        "deleted, and if it was not decided, it never will be"
    ]


async def test_a_seek_back_that_fails_is_tried_again_before_more_is_delivered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def perform_seek(self: FedConsumer) -> None:
        self.seeks_back += 1
        if self.seeks_back < 3:
            raise KafkaError("not authorized to ask the group")

    monkeypatch.setattr(faust_consumer.Consumer, "perform_seek", perform_seek)
    monkeypatch.setattr("fraudapp.kafka.consumer.RETRY_SECONDS", 0.0)
    consumer = FedConsumer({PARTITION: [0, 1]}, {PARTITION: [0, 1]})
    (dropped,) = await consumer.deliver()
    consumer.release(dropped)
    assert [await consumer.deliver() for _ in range(2)] == [[], []]
    assert [record_batch_of(each).end for each in await consumer.deliver()] == [2]
    assert consumer.seeks_back == 3
    assert consumer.troubles() == []


async def test_a_seek_back_that_goes_on_failing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def perform_seek(self: FedConsumer) -> None:
        raise KafkaError("not authorized to ask the group")

    monkeypatch.setattr(faust_consumer.Consumer, "perform_seek", perform_seek)
    monkeypatch.setattr("fraudapp.kafka.consumer.RETRY_SECONDS", 0.0)
    monkeypatch.setattr("fraudapp.operation.troubles.__defaults__", (0.0,))
    consumer = FedConsumer({PARTITION: [0, 1]})
    (dropped,) = await consumer.deliver()
    consumer.release(dropped)
    await consumer.deliver()
    (told,) = consumer.troubles()
    assert told.startswith("going back to the committed offsets: KafkaError: not authorized")


async def test_a_partition_without_a_leader_holds_up_no_seek_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def seek_to_committed(self: FedConsumer) -> dict[TP, int | None]:
        return {PARTITION: None, OTHER: 5}

    async def earliest_offsets(self: FedConsumer, *partitions: TP) -> dict[TP, int]:
        raise KafkaError("no leader")

    reset: list[list[TP]] = []
    monkeypatch.setattr(aiokafka.Consumer, "seek_to_committed", seek_to_committed)
    monkeypatch.setattr(FedConsumer, "earliest_offsets", earliest_offsets)
    consumer = FedConsumer()
    consumer._thread = SimpleNamespace(reset_to_beginning=reset.append)  # type: ignore[assignment]
    assert await consumer.seek_to_committed() == {PARTITION: None, OTHER: 5}
    assert reset == [[PARTITION]]


async def test_the_client_of_a_worker_throttles_its_fetches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def connect(self: ClientInLoop) -> None:
        self._consumer = SimpleNamespace(_fetcher=fetcher, _client=kafka)

    async def fetch(*args: Any) -> bool:
        return args == (assignment, 1, request)

    async def send(node: int, request: str) -> str:
        return request

    state = SimpleNamespace(awaiting_reset=True)
    assignment = SimpleNamespace(active=True, state_value=lambda tp: state)
    request = SimpleNamespace(topics=[("transactions", [(0, 7, 1_000)])])
    kafka = SimpleNamespace(send=send)
    fetcher = SimpleNamespace(_proc_fetch_request=fetch)
    delays: list[float] = []

    class Throttle:
        def __init__(self, max_delay: float) -> None:
            delays.append(max_delay)

        def delay(self) -> float:
            delays.append(0.0)
            return 0.0

    monkeypatch.setattr(aiokafka.AIOKafkaConsumerThread, "on_start", connect)
    monkeypatch.setattr("fraudapp.kafka.client_in_loop.FetchThrottle", Throttle)
    client: Any = ClientInLoop.__new__(ClientInLoop)
    client.transport = SimpleNamespace(max_fetch_delay=0.025, topic_ids={"transactions": "id"})
    client.consumer = SimpleNamespace(lost=LostRecords())
    await client.on_start()
    assert await kafka.send(1, "a request of another kind") == "a request of another kind"
    assert await fetcher._proc_fetch_request(assignment, 1, request)
    assert delays == [0.025, 0.0]
    assert client.consumer.lost.missing == {PARTITION: 7}
    state.awaiting_reset = False
    client.consumer.lost.missing.clear()
    assert await fetcher._proc_fetch_request(assignment, 1, request)
    assert client.consumer.lost.missing == {}
    settings = load({})
    transport = new_app(settings).transport
    assert isinstance(transport, SafeTransport)
    assert transport.max_fetch_delay == settings.batch_seconds / 5


class Fetched(list[ConsumerRecord]):
    """Fetched records of a partition, as aiokafka's fetcher buffers them."""

    @property
    def next_fetch_offset(self) -> int:
        return int(self[0].offset)


async def test_records_of_a_full_partition_stay_in_the_client_until_there_is_room() -> None:
    tps = {TopicPartition(*tp) for tp in (PARTITION, OTHER)}
    positions = SubscriptionState()
    positions.assign_from_user(tps)
    for tp in tps:
        positions.seek(tp, 7)
    fetcher: Any = Fetcher.__new__(Fetcher)
    fetcher._subscriptions, fetcher._loop = positions, asyncio.get_running_loop()
    fetcher._fetch_waiters, fetcher._closed, fetcher._wait_consume_future = set(), False, None
    assignment = positions.subscription.assignment
    fetcher._records = {
        tp: FetchResult(
            tp,
            assignment=assignment,
            partition_records=Fetched([record(7, tp=TP(*tp))]),
            backoff=0.0,
        )
        for tp in tps
    }
    full = {PARTITION, OTHER}
    thread: Any = ClientInLoop.__new__(ClientInLoop)
    thread._consumer = SimpleNamespace(_fetcher=fetcher, _closed=False, _max_poll_records=10)
    thread.consumer = SimpleNamespace(flow_active=True, is_full=full.__contains__)

    for left, tp in [(2, OTHER), (1, PARTITION)]:
        fetching = asyncio.create_task(thread.getmany({PARTITION, OTHER}, 60.0))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not fetching.done()
        assert len(fetcher._records) == left
        full.discard(tp)
        thread.wake_getmany()
        assert (await asyncio.wait_for(fetching, 5)).keys() == {tp}


@pytest.mark.parametrize("state", ["nothing assigned", "another one", "position unknown", "known"])
async def test_a_partition_in_any_state_is_checked_without_ending_the_worker(state: str) -> None:
    positions = SubscriptionState()
    if state != "nothing assigned":
        assigned = OTHER if state == "another one" else PARTITION
        positions.assign_from_user([TopicPartition(*assigned)])
    if state == "known":
        positions.seek(TopicPartition(*PARTITION), 7)
    thread: Any = ClientInLoop.__new__(ClientInLoop)
    thread._consumer = SimpleNamespace(
        _subscription=positions, _fetcher=SimpleNamespace(_subscriptions=positions)
    )
    thread.time_started = time.monotonic()
    thread.tp_fetch_request_timeout_secs = 0.0
    errors: list[str] = []
    thread.log = SimpleNamespace(error=lambda message, *args: errors.append(message))
    thread.verify_event_path(time.monotonic(), PARTITION)
    assert len(errors) == (state == "known")
    assert thread.position_and_high_water(PARTITION) == (7 if state == "known" else None, None)


def test_the_client_is_a_plain_service_and_not_one_in_a_thread() -> None:
    overridden = {
        name for name in vars(ServiceThread) if hasattr(Service, name) and not name.startswith("__")
    }
    set_for_every_class = {"_abc_impl", "_tasks", "abstract", "logger"}
    the_same_in_one_loop = {"_new_shutdown_event"}
    for name in overridden - set_for_every_class - the_same_in_one_loop:
        assert getattr(ClientInLoop, name) is getattr(Service, name), name
