"""A receiver is told all that it asks for, at least once, whatever is down meanwhile."""

from __future__ import annotations

import asyncio
import json
import math
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from time import monotonic

import pytest
from aiohttp import web
from aiokafka import TopicPartition

from fraudapp.decisions.batch import encode
from fraudapp.kafka import topics as kafka_topics
from fraudapp.kafka.clients import new_consumer
from fraudapp.kafka.producer import BatchProducer, NewRecord
from fraudapp.local.processes import POLL_INTERVAL
from fraudapp.local.server import Server
from fraudapp.metrics import registry
from fraudapp.settings import load
from fraudapp.webhooks import service
from fraudapp.webhooks.receiver import Receiver
from fraudapp.webhooks.service import Webhooks
from models.control import records
from models.control.records import CapKey, Capped, Proposed
from models.records import Outcome
from tests.conftest import inherited_environment
from tests.support.decisions import decision, id_in_partition
from tests.unit.fraudapp.webhooks.receiving import KEY, PATIENCE, SECRET, Receiving

PARTITIONS = 2
FIRST, SECOND = "1" * 32, "2" * 32
TEXT = "flag_at = 0.5\nblock_at = 0.8\n"
ERROR = partial(web.Response, status=500)


class Bench:
    """Topics, a receiver, and services that tell it."""

    def __init__(self, environment: dict[str, str], receiving: Receiving) -> None:
        self.environment = environment
        self.settings = settings = load(environment)
        self.receiving = receiving
        self.producer = BatchProducer(settings)
        self.observer = new_consumer(settings, f"{settings.app_id}-webhook")
        self.expected: list[list[str]] = [[] for _ in range(PARTITIONS)]
        """Event ids that are to be told of each partition of the log, in their order."""
        self.timeout = PATIENCE
        """Seconds that the receiver may take to answer."""

    def webhooks(self, **options: int) -> Webhooks:
        receiver = Receiver(self.receiving.url, KEY, timeout=self.timeout)
        return Webhooks(self.settings, receiver, **options)

    @asynccontextmanager
    async def telling(self, **options: int) -> AsyncIterator[Webhooks]:
        """Start a service; returns once the group has committed where it begins."""
        webhooks = self.webhooks(**options)
        await webhooks.start()
        try:
            await until(self.has_begun)
            yield webhooks
        finally:
            await webhooks.stop()

    @property
    def partitions(self) -> list[TopicPartition]:
        topic = self.settings.decisions_topic
        log = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
        return [*log, TopicPartition(self.settings.control_topic, 0)]

    async def offsets(self) -> list[int | None]:
        """Committed offsets of both partitions of the log, and of the control topic."""
        return [await self.observer.committed(tp) for tp in self.partitions]

    async def committed(self, expected: Sequence[int]) -> None:
        """Return once these are the committed offsets."""

        async def are() -> bool:
            return await self.offsets() == expected

        await until(are)

    async def has_begun(self) -> bool:
        """Whether the group has committed where it begins."""
        return None not in await self.offsets()

    async def set_offsets(self, *offsets: int) -> None:
        """Let the group, which has had no members yet, begin at these offsets."""
        await self.observer.commit(dict(zip(self.partitions, offsets, strict=True)))

    async def decide(self, *numbers: int, outcome: Outcome = Outcome.BLOCK) -> None:
        """Append decisions with these numbers, in turn to each partition."""
        for number in numbers:
            partition = number % PARTITIONS
            id_ = id_in_partition(partition, number, PARTITIONS)
            value = encode(decision(id_, decision=outcome))
            await self.append(self.settings.decisions_topic, (id_.encode(), value, []), partition)
            if outcome is Outcome.BLOCK:
                self.expected[partition].append(f"decision/{id_}")

    async def control(self, *new: NewRecord) -> None:
        for each in new:
            await self.append(self.settings.control_topic, each)

    async def append(self, topic: str, record: NewRecord, partition: int = 0) -> None:
        await self.producer.append(topic, partition, [record], "writing")

    def check_decisions(self, *, exactly: bool = True) -> None:
        """All decisions were told, those of each partition in their order."""
        for partition, expected in enumerate(self.expected):
            ids = [each for each in self.receiving.ids if each in set(expected)]
            assert list(dict.fromkeys(ids)) == expected, partition
            assert not exactly or ids == expected, partition


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    deadline = monotonic() + PATIENCE
    while not await holds():
        assert monotonic() < deadline, "it never held"
        await asyncio.sleep(POLL_INTERVAL)


async def until_it(holds: Callable[[], bool]) -> None:
    async def held() -> bool:
        return holds()

    await until(held)


def attempts(outcome: str) -> float:
    labels = {"type": "decision.blocked", "outcome": outcome}
    return registry.get_sample_value("fraud_webhook_deliveries_total", labels) or 0.0


async def begun(*services: Webhooks, partitions: int = PARTITIONS + 1) -> None:
    """Return once each of these services has begun, together with so many partitions."""

    def have() -> bool:
        counts = [sum(lane.done is not None for lane in each._lanes.values()) for each in services]
        return all(counts) and sum(counts) == partitions

    await until_it(have)


def policy(id_: str, parent: str = "", text: str = TEXT) -> NewRecord:
    return records.proposal(id_, Proposed(parent=parent, text=text, author="ann"))


def cap(*, on: bool, author: str = "w1", policy: str = FIRST) -> NewRecord:
    return records.cap(CapKey(policy, "night"), Capped(on=on, share=0.25, author=author))


PROCESS = """
import asyncio
from fraudapp.settings import load
from fraudapp.webhooks.service import webhooks_of

async def main():
    await webhooks_of(load()).start()
    await asyncio.Event().wait()

asyncio.run(main())
"""


@asynccontextmanager
async def process(bench: Bench) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a process that tells the receiver, and kill it at the end."""
    environment = {**inherited_environment(), **bench.environment}
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", PROCESS, env=environment)
    try:
        await until(bench.has_begun)
        yield child
    finally:
        child.kill()
        await child.wait()


def membership(webhooks: Webhooks) -> tuple[str, int]:
    """The member of the group that a service is, and the group's generation."""
    coordinator = webhooks._consumer._coordinator
    return coordinator.member_id, coordinator.generation


@pytest.fixture
async def bench(kafka: Server, topics: dict[str, str], tmp_path: Path) -> AsyncIterator[Bench]:
    receiving = Receiving()
    environment = {
        **topics,
        "FRAUD_BROKER_URL": kafka.url,
        "FRAUD_BROKER_SESSION_TIMEOUT": "6",
        "FRAUD_BROKER_HEARTBEAT_INTERVAL": "1",
        "FRAUD_DATA_DIR": str(tmp_path),
        "FRAUD_TOPIC_PARTITIONS": str(PARTITIONS),
        "FRAUD_BROKER_FETCH_WAIT": "0.05",
        "FRAUD_WEBHOOK_URL": receiving.url,
        "FRAUD_WEBHOOK_SECRET": SECRET,
    }
    bench = Bench(environment, receiving)
    await kafka_topics.ensure(bench.settings)
    await receiving.start()
    await bench.producer.start()
    await bench.observer.start()
    bench.observer.assign(bench.partitions)
    yield bench
    await bench.observer.stop()
    await bench.producer.stop()
    await receiving.stop()


async def test_each_event_is_told_once_in_the_order_of_its_partition(bench: Bench) -> None:
    async with bench.telling() as webhooks:
        await bench.decide(*range(20))
        await bench.decide(*range(20, 26), outcome=Outcome.FLAG)
        await bench.control(policy(FIRST), cap(on=True), cap(on=False), policy(SECOND, FIRST))
        await bench.receiving.has(24)
        await bench.committed([13, 13, 4])
        assert not webhooks.troubles()
    bench.check_decisions()
    assert len(bench.receiving.requests) == 24
    types = [each["type"] for each in bench.receiving.delivered if each["type"][0] != "d"]
    assert types == ["policy.changed", "cap.begun", "cap.ended", "policy.changed"]
    assert registry.get_sample_value("fraud_webhook_oldest_undelivered_seconds") == 0


async def test_history_is_not_told_and_all_after_the_first_start_is(bench: Bench) -> None:
    await bench.decide(*range(6))
    await bench.control(policy(FIRST), cap(on=True))
    bench.expected = [[] for _ in range(PARTITIONS)]
    async with bench.telling():
        pass
    assert await bench.offsets() == [3, 3, 2]
    # Nobody is there now. What happens is told by the next one, who knows what was before.
    await bench.decide(6, 7)
    await bench.control(cap(on=True, author="w2"), cap(on=False), policy(SECOND, FIRST))
    async with bench.telling():
        await bench.receiving.has(4)
        await bench.committed([4, 4, 5])
    bench.check_decisions()
    rest = [each for each in bench.receiving.delivered if each["type"][0] != "d"]
    assert [each["type"] for each in rest] == ["cap.ended", "policy.changed"]
    assert rest[0]["data"]["policy"] == 1
    assert rest[1]["data"]["previous"] == 1


async def test_nothing_is_lost_while_the_receiver_is_away(bench: Bench) -> None:
    receiving = bench.receiving
    bench.timeout = 1.0
    async with bench.telling() as webhooks:
        await receiving.stop()
        await bench.decide(0, 1, 2, 3)
        await bench.control(policy(FIRST))
        failed = attempts("failed")
        await until_it(lambda: attempts("failed") >= failed + 6)
        assert (registry.get_sample_value("fraud_webhook_oldest_undelivered_seconds") or 0) > 0
        receiving.answer = ERROR
        await receiving.start()
        await receiving.has(0, requests=6)
        await bench.decide(4, 5)
        receiving.hangs.set()
        await receiving.has(0, requests=len(receiving.requests) + 3)
        assert not receiving.delivered
        assert await bench.offsets() == [0, 0, 0]
        assert not webhooks.troubles()
        receiving.hangs.clear()
        receiving.answer = web.Response
        await receiving.has(7)
        await bench.committed([3, 3, 1])
    bench.check_decisions(exactly=False)
    # All attempts at an event had the same id, and the same body.
    told = {(each.headers["webhook-id"], body) for each, body in receiving.requests}
    assert len(told) == 7


async def test_another_process_tells_what_a_killed_one_has_not(bench: Bench) -> None:
    receiving = bench.receiving
    async with process(bench):
        await bench.decide(*range(10))
        await bench.control(policy(FIRST))
        await receiving.has(11)
        receiving.answer = ERROR
        await bench.decide(*range(10, 20))
        await bench.control(cap(on=True))
        await receiving.has(11, requests=len(receiving.requests) + 4)
    receiving.answer = web.Response
    async with process(bench):
        await bench.committed([10, 10, 2])
    bench.check_decisions(exactly=False)
    assert len(set(receiving.ids)) == 22


async def test_what_was_told_and_not_committed_is_told_again_under_the_same_id(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiving = bench.receiving
    monkeypatch.setattr(service, "COMMIT_SECONDS", math.inf)
    async with bench.telling() as first:
        await bench.decide(*range(4))
        await bench.control(policy(FIRST), cap(on=True))
        await receiving.has(6)
        await until_it(lambda: all(lane.done == 2 for lane in first._lanes.values()))
        for lane in first._lanes.values():
            lane.committed = 2  # so that it commits nothing when it stops
    told = sorted(receiving.ids)
    assert await bench.offsets() == [0, 0, 0]
    async with bench.telling():
        await receiving.has(12)
    assert sorted(receiving.ids[6:]) == told
    bench.check_decisions(exactly=False)


async def test_copies_of_a_decision_have_one_id(bench: Bench) -> None:
    async with bench.telling():
        await bench.decide(0, 0, 2)
        await bench.receiving.has(3)
    first, second, third = bench.receiving.ids
    assert first == second != third


async def test_records_that_change_nothing_or_are_not_ours_are_no_events(bench: Bench) -> None:
    async with bench.telling():
        await bench.control(
            (b"policy/nonsense", b"{}", []),
            (None, b"\xff", []),
            policy(FIRST),
            policy(FIRST),
            policy(SECOND),  # too late
            cap(on=True, author="w1"),
            cap(on=True, author="w2"),
            cap(on=False, policy=SECOND),
        )
        topic, forged = bench.settings.decisions_topic, encode(decision("forged"))
        await bench.append(topic, (b"other", forged, []))
        await bench.append(topic, (b"forged", b'{"decision":"BLOCK"}', []))
        await bench.append(topic, (None, None, []))
        await bench.decide(0)
        await bench.receiving.has(3)
        await bench.committed([4, 0, 8])
    types = sorted(each["type"] for each in bench.receiving.delivered)
    assert types == ["cap.begun", "decision.blocked", "policy.changed"]


async def test_the_group_stays_as_it_is_while_the_receiver_is_away(bench: Bench) -> None:
    receiving = bench.receiving
    async with bench.telling(max_poll_interval_ms=5_000) as webhooks:
        before = membership(webhooks)
        receiving.answer = partial(web.Response, status=503, headers={"Retry-After": "1"})
        await bench.decide(*range(4))
        await receiving.has(0, requests=1)
        since = monotonic()
        while monotonic() - since < 11:
            await receiving.has(0, requests=len(receiving.requests) + 1)
        assert membership(webhooks) == before
        receiving.answer = web.Response
        await receiving.has(4)
        await bench.committed([2, 2, 0])
    bench.check_decisions()


async def test_a_partition_that_waits_holds_up_no_other(bench: Bench) -> None:
    receiving = bench.receiving
    receiving.refused = {"decision.blocked"}
    async with bench.telling():
        await bench.decide(*range(6))
        await receiving.has(0, requests=2)
        await bench.control(policy(FIRST), cap(on=True))
        await receiving.has(2)
        assert [each["type"] for each in receiving.delivered] == ["policy.changed", "cap.begun"]
        receiving.refused = set()
        await receiving.has(8)
    bench.check_decisions()


async def test_nothing_is_lost_or_disordered_when_workers_come_and_go(bench: Bench) -> None:
    async with bench.telling() as first:
        await bench.decide(*range(10))
        async with bench.telling() as second:
            await bench.decide(*range(10, 30))
            await begun(first, second)
            await bench.control(policy(FIRST))
        await bench.decide(*range(30, 40))
        await bench.committed([20, 20, 1])
    bench.check_decisions(exactly=False)
    assert f"policy/{FIRST}" in bench.receiving.ids


async def test_only_what_is_asked_for_is_told(bench: Bench) -> None:
    bench.settings = bench.settings.model_copy(update={"webhook_events": "capped"})
    webhooks = bench.webhooks()
    await webhooks.start()
    await begun(webhooks, partitions=1)
    await bench.decide(0, 1)
    await bench.control(policy(FIRST), cap(on=True))
    await bench.receiving.has(1)
    await webhooks.stop()
    assert await bench.offsets() == [None, None, 2]
    assert [json.loads(body)["type"] for _, body in bench.receiving.requests] == ["cap.begun"]


async def test_a_log_that_was_cut_is_not_told_again(bench: Bench) -> None:
    await bench.decide(0)
    bench.expected[0].clear()
    await bench.set_offsets(50, 0, 0)
    async with bench.telling() as webhooks:
        await begun(webhooks)
        await bench.decide(2)
        await bench.receiving.has(1)
        await bench.committed([2, 0, 0])
    bench.check_decisions()
