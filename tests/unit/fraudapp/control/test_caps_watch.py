"""The caps of the policy in force begin and end by one record each, however many workers watch."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, cast

from aiokafka.errors import KafkaError, RequestTimedOutError

from fraudapp.control.caps_watch import PATIENCE_SECONDS, CapsWatch
from fraudapp.control.fitting import last_fitting
from fraudapp.control.writer import ControlWriter
from fraudapp.settings import load
from models.control.chain import Candidate
from models.control.records import CapKey, Capped, read
from models.control.state import ControlState
from models.policies.in_force import InForce, of_thresholds
from models.policies.ruling import Begun
from models.policies.shares import ALL, Counts
from models.policy import Policy
from models.records import Decision, Outcome
from models.schema.schema import PAYSIM
from tests.support.chains import OneModel
from tests.support.decisions import decision
from tests.support.memory import MemoryBroker

CAPS = """
[caps]
block_share = 0.1
window_seconds = 10
min_decisions = 100
calm_seconds = 30
"""
BLOCKED, APPROVED = decision(decision=Outcome.BLOCK), decision(decision=Outcome.APPROVE)


class Control:
    """What a worker has read of a topic, as `ControlLog` has it."""

    def __init__(self, broker: MemoryBroker, topic: str) -> None:
        self.known = ControlState()
        self.candidate: Candidate | None = None
        self.in_force: InForce = of_thresholds(Policy(), PAYSIM)
        self._topic = broker.topics[topic][0]

    async def end(self) -> int:
        return len(self._topic)

    async def read_to(self, offset: int) -> None:
        for raw in self._topic[self.known.next_offset : offset]:
            self.known.apply(read(raw.offset, raw.timestamp, raw.key, raw.value, raw.headers))
        self.candidate, ruling, _ = last_fitting(self.known.chain, PAYSIM, OneModel("m1"))
        if self.candidate and ruling:
            self.in_force = self.known.in_force(self.candidate, ruling)


class Cluster:
    """Workers with a clock in common, and the topic that they write to."""

    def __init__(self, workers: int = 1) -> None:
        self.now = 1_000.0
        self.failure: KafkaError | None = None
        settings = load({})
        self._topic = settings.control_topic
        self._broker = MemoryBroker({self._topic: 1})
        self.controls = [Control(self._broker, self._topic) for _ in range(workers)]
        self.writers = [
            ControlWriter(settings, cast("Any", self), each.known, each.read_to, each.end)
            for each in self.controls
        ]
        self.watches = [
            CapsWatch(
                f"worker-{number}",
                cast("Any", lambda control=control: control),
                cast("Any", lambda writer=writer: writer),
                clock=lambda: self.now,
            )
            for number, (control, writer) in enumerate(
                zip(self.controls, self.writers, strict=True)
            )
        ]

    async def append(self, *args: Any) -> list[int]:
        """Append as `BatchProducer` does, or fail."""
        if self.failure:
            raise self.failure
        return await self._broker.append(*args)

    async def publish(self, text: str = CAPS) -> None:
        parent = self.controls[0].known.chain.head
        await self.writers[0].propose(text, author="somebody", parent=parent)
        await self.read()

    async def end_cap(self) -> None:
        ended = Capped(on=False, share=0.0, author="somebody")
        await self.writers[0].set_caps({CapKey(self._id(), ALL): ended})
        await self.read()

    async def read(self) -> None:
        """Let all workers read the topic to its end."""
        for each in self.controls:
            await each.read_to(await each.end())

    def decide(self, blocked: int, approved: int = 0, *, by: int = 0) -> None:
        self.watches[by].count([BLOCKED] * blocked + [APPROVED] * approved)

    async def check(self, number: int = 0, *, after: float = 0.25) -> list[Capped]:
        """Let one worker check; return what it has written."""
        self.now += after
        before = len(self.written())
        await self.watches[number].check(lambda: self._others(number), is_first=number == 0)
        return self.written()[before:]

    def written(self) -> list[Capped]:
        """Return all caps that were written, all of the policy in force."""
        raw = self._broker.topics[self._topic][0]
        records = [read(e.offset, e.timestamp, e.key, e.value, e.headers) for e in raw]
        return [each.value for each in records if isinstance(each.value, Capped)]

    def begun(self, number: int = 0) -> Begun:
        return self.controls[number].in_force.caps

    def _others(self, number: int) -> Iterable[Counts]:
        told = [each.own() for at, each in enumerate(self.watches) if at != number]
        return [each for each in told if each]

    def _id(self) -> str:
        candidate = self.controls[0].candidate
        assert candidate
        return candidate.id


async def test_without_caps_nothing_is_counted() -> None:
    cluster = Cluster()
    for text in (None, "flag_at = 0.3", CAPS, "flag_at = 0.4"):
        if text:
            await cluster.publish(text)
        has_caps = text == CAPS
        assert cluster.watches[0].is_needed is has_caps
        cluster.decide(1_000)
        assert (cluster.watches[0].own() is not None) is has_caps
        assert cluster.watches[0].is_urgent() is has_caps
    assert await cluster.check() == []


async def test_a_cap_begins_with_what_was_seen_and_by_whom() -> None:
    cluster = Cluster()
    await cluster.publish()
    cluster.decide(10, 90)
    assert await cluster.check() == []
    cluster.decide(30, 70)
    (begins,) = await cluster.check()
    assert begins == Capped(
        on=True,
        share=0.2,
        author="worker-0",
        note="40 of 200 decisions in 10 s; the cap is a share of 0.1.",
    )
    assert cluster.begun() == Begun(on_all=True)
    assert await cluster.check() == []


async def test_a_cap_ends_after_a_calm_and_begins_anew() -> None:
    cluster = Cluster()
    await cluster.publish()
    cluster.decide(100)
    assert [each.on for each in await cluster.check()] == [True]
    assert await cluster.check(after=9.0) == []
    assert await cluster.check(after=1.0) == []  # from now on it is calm
    assert await cluster.check(after=29.5) == []
    cluster.decide(0, 500)
    (ends,) = await cluster.check(after=0.5)
    assert (ends.on, ends.share, ends.author) == (False, 0.0, "worker-0")
    assert cluster.begun() == Begun()
    cluster.decide(100)
    assert [each.on for each in await cluster.check()] == [True]


async def test_a_new_policy_has_an_empty_window_and_no_caps() -> None:
    cluster = Cluster()
    await cluster.publish()
    cluster.decide(100)
    await cluster.check()
    await cluster.publish(CAPS + "\n# another one")
    assert cluster.begun() == Begun()
    assert cluster.watches[0].own() == Counts()
    cluster.decide(99)
    assert await cluster.check() == []
    cluster.decide(1)
    assert [each.on for each in await cluster.check()] == [True]


async def test_a_cap_that_somebody_ends_begins_again_while_its_share_is_high() -> None:
    cluster = Cluster()
    await cluster.publish()
    cluster.decide(100)
    await cluster.check()
    await cluster.end_cap()
    assert cluster.begun() == Begun()
    assert [each.on for each in await cluster.check()] == [True]
    cluster.now += 10.0  # the window is empty
    await cluster.end_cap()
    assert await cluster.check() == []


async def test_the_counts_of_all_workers_count() -> None:
    cluster = Cluster(workers=2)
    await cluster.publish()
    cluster.decide(60, by=0)
    assert cluster.watches[0].is_urgent()
    assert await cluster.check() == []
    cluster.decide(0, 1_000, by=1)
    assert not cluster.watches[1].is_urgent()
    assert await cluster.check() == []
    cluster.decide(400, by=1)
    (begins,) = await cluster.check()
    assert begins.share == round(460 / 1_460, 6)


async def test_one_worker_writes_for_all_and_another_one_if_it_does_not() -> None:
    cluster = Cluster(workers=2)
    await cluster.publish()
    cluster.decide(100, by=1)
    assert await cluster.check(1) == []
    (begins,) = await cluster.check(1, after=PATIENCE_SECONDS)
    assert begins.author == "worker-1"
    await cluster.read()
    assert await cluster.check(0) == []
    assert cluster.begun(0) == cluster.begun(1) == Begun(on_all=True)


async def test_two_that_write_at_once_begin_one_cap() -> None:
    cluster = Cluster(workers=2)
    await cluster.publish()
    for number in range(2):
        cluster.decide(100, by=number)
    await asyncio.gather(*(each.check(list, is_first=True) for each in cluster.watches))
    assert [each.on for each in cluster.written()] == [True, True]
    await cluster.read()
    for each in cluster.controls:
        assert each.in_force.caps == Begun(on_all=True)
        assert each.in_force.version == "1+2"  # that of the first record of the two


async def test_a_record_that_is_not_taken_is_written_at_another_check() -> None:
    cluster = Cluster()
    await cluster.publish()
    cluster.decide(100)
    cluster.failure = RequestTimedOutError()
    assert await cluster.check() == []
    cluster.failure = None
    assert [each.on for each in await cluster.check()] == [True]


async def test_a_rule_goes_to_test_alone() -> None:
    cluster = Cluster()
    rule = (
        '[[rules]]\nid = "{}"\nwhen = "amount > 0"\nthen = "block"\nreason = "So."\nowner = "o"\n'
    )
    await cluster.publish(rule.format("wild") + rule.format("mild") + "[caps]\nrule_share = 0.5\n")
    hits: Sequence[Decision] = [decision(hits=["wild"])] * 100 + [decision(hits=["mild"])] * 60
    cluster.watches[0].count(hits)
    (begins,) = await cluster.check()
    assert begins.share == 0.625
    assert cluster.begun() == Begun(rules=frozenset({"wild"}))


async def test_a_long_name_fits_an_author() -> None:
    cluster = Cluster()
    await cluster.publish()
    watch = CapsWatch(
        "h" * 300,
        cast("Any", lambda: cluster.controls[0]),
        cast("Any", lambda: cluster.writers[0]),
        clock=lambda: cluster.now,
    )
    watch.count([BLOCKED] * 100)
    await watch.check(lambda: [], is_first=True)
    assert len(cluster.written()[0].author) == 128


async def test_impossible_counts_of_another_worker_do_no_harm() -> None:
    cluster = Cluster()
    await cluster.publish()
    cluster.decide(100)
    await cluster.watches[0].check(lambda: [Counts(1, {ALL: 500})], is_first=True)
    assert [each.share for each in cluster.written()] == [1.0]
