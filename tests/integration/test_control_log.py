"""All who follow the control topic have the same in force, whatever is in it."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timezone
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from confluent_kafka.admin import AdminClient

from fraudapp.control import fitting, follower, metrics
from fraudapp.control.follower import ControlLog
from fraudapp.control.reader import RecordsLost, reading
from fraudapp.control.writer import ControlWriter
from fraudapp.kafka import topics as kafka_topics
from fraudapp.kafka.producer import BatchProducer, NewRecord
from fraudapp.kafka.readability import ReadabilityProbe
from fraudapp.local.processes import POLL_INTERVAL
from fraudapp.local.server import Server
from fraudapp.settings import Settings, load
from fraudapp.sinks.archive.archive import archive_at
from models.control.chain import Candidate
from models.control.records import (
    ROOT,
    CapKey,
    Capped,
    Listed,
    Proposed,
    Removed,
    cap,
    entry,
    proposal,
)
from models.control.versions import Version
from models.policies.ruling import NO_CAPS, Begun
from models.records import Outcome
from tests.support.scoring import Named
from tests.support.transactions import transaction

PATIENCE = 60.0
NOW = datetime(2026, 3, 4, tzinfo=timezone.utc)
MODEL = "model-1"
MULES = """
[lists.mules]
field = "nameDest"
then = "block"
reason = "It is listed."
owner = "fraud team"
"""
BLOCKS = """
[[rules]]
id = "much"
when = "amount > {}"
then = "block"
reason = "It is much."
owner = "fraud team"
"""
UNFIT = BLOCKS.replace("amount > {}", "no_such_field > 1")
MALFORMED = "flag_at = "


class Bench:
    """A control topic of its own, and those who follow it and write to it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.producer = BatchProducer(settings)
        self.logs: list[ControlLog] = []

    async def log(self, model_version: str = MODEL) -> ControlLog:
        """Start to follow the topic, as a worker does."""
        log = ControlLog(self.settings, Named(model_version), archive_at(self.settings))
        self.logs.append(log)
        await asyncio.wait_for(log.start(), PATIENCE)
        return log

    def writer(self, log: ControlLog) -> ControlWriter:
        return ControlWriter(self.settings, self.producer, log.known, log.read_to, log.end)

    async def propose(self, log: ControlLog, text: str, parent: str | None = None) -> Candidate:
        """Propose a policy in the place of the last one."""
        on = log.known.chain.head if parent is None else parent
        proposing = self.writer(log).propose(text, author="ann", parent=on)
        return await asyncio.wait_for(proposing, PATIENCE)

    async def list(self, log: ControlLog, name: str, *values: str) -> None:
        await asyncio.wait_for(self.writer(log).add(name, values, Listed(author="ann")), PATIENCE)

    async def cap(self, log: ControlLog, rule: str = "", *, on: bool = True) -> None:
        assert log.candidate is not None
        value = Capped(on=on, share=0.5, author="worker")
        setting = self.writer(log).set_caps({CapKey(log.candidate.id, rule): value})
        await asyncio.wait_for(setting, PATIENCE)

    async def put(self, *records: NewRecord) -> None:
        """Append whatever somebody else may."""
        await self.producer.append(self.settings.control_topic, 0, records, "testing")

    async def stop(self) -> None:
        for log in self.logs:
            await log.stop()
        await self.producer.stop()


@pytest.fixture
async def bench(kafka: Server, topics: dict[str, str], tmp_path: Path) -> AsyncIterator[Bench]:
    settings = load({**topics, "FRAUD_BROKER_URL": kafka.url, "FRAUD_DATA_DIR": str(tmp_path)})
    await kafka_topics.ensure(settings)
    bench = Bench(settings)
    await bench.producer.start()
    yield bench
    kafka.revive()
    await bench.stop()


async def until(check: Callable[[], object], every: float = POLL_INTERVAL) -> None:
    async def true() -> None:
        while not check():
            await asyncio.sleep(every)

    await asyncio.wait_for(true(), PATIENCE)


async def all_read(log: ControlLog) -> None:
    """Return once a follower has all that is in the topic in force."""

    async def read() -> None:
        await log.read_to(await log.end())

    await asyncio.wait_for(read(), PATIENCE)


def decided(log: ControlLog, receiver: str = "C2", amount: float = 1.0) -> Outcome:
    sent = transaction("t", nameDest=receiver, amount=amount, isFlaggedFraud=0)
    matrix = np.empty((1, 0), dtype=np.float32)
    return log.in_force.rule([sent], [0.1], matrix, NOW)[0].outcome


def offset_of(log: ControlLog) -> int:
    version = Version.of(log.in_force.version)
    assert version is not None
    return version.offset


def all_in_force(log: ControlLog) -> dict[str, Any]:
    """What two that agree have in common."""
    return {
        "version": log.in_force.version,
        "policy": log.in_force.ruling.policy,
        "caps": log.in_force.caps,
        "lists": {name: {*each} for name, each in log.known.lists.at(NOW).items() if each},
        "chain": log.known.chain.members,
        "candidates": [*log.known.chain.candidates.values()],
        "notes": log.notes(),
        "next offset": log.known.next_offset,
    }


async def test_without_any_policy_the_thresholds_of_the_settings_are_in_force(
    bench: Bench,
) -> None:
    log = await bench.log()
    assert (log.candidate, log.notes(), log.troubles()) == (None, [], [])
    assert log.in_force.version == bench.settings.policy.version
    await bench.list(log, "mules", "C2")  # which nothing looks into
    assert log.in_force.version == bench.settings.policy.version
    assert decided(log) is Outcome.APPROVE


FOREIGN: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]] = [
    (None, None, []),
    (b"", b"", []),
    (b"\xff", b"\xff", []),
    (b"policy/x", b"{}", []),
    (b"policy/" + b"1" * 32, b"[" * 100_000, []),
    (b"approval/" + b"1" * 32, None, []),
    (b"cap/" + b"1" * 32 + b"/", b'{"on":true,"share":1,"author":"a"}', []),
    (b"list/mules/\x00", b'{"author":"a"}', []),
    (b"list/mules/a", b"junk", [("author", b"\xff" * 1_000)]),
]


async def test_the_topic_is_read_to_its_end_at_the_start_past_whatever_is_in_it(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    first = await bench.log()
    await bench.propose(first, MULES)
    await bench.put(*FOREIGN)
    options: Any = {"bootstrap_servers": bench.settings.bootstrap_servers}
    topic = bench.settings.control_topic
    async with AIOKafkaProducer(**options, transactional_id=f"{topic}-other") as other:
        await other.begin_transaction()
        await other.send_and_wait(topic, b'{"author":"x"}', key=b"list/mules/C3", partition=0)
        await other.abort_transaction()
        await all_read(first)  # although no record follows the end of the transaction
        await other.begin_transaction()
        await other.send_and_wait(topic, b"junk", key=b"x", partition=0)
        await bench.list(first, "mules", "C4")
        second = await bench.log()
        # Neither an abort nor an open transaction hides anything: all read all there is.
        for log in (first, second):
            await all_read(log)
            assert [decided(log, each) for each in ("C3", "C4")] == [Outcome.BLOCK] * 2
            assert not log.troubles()
        await other.abort_transaction()
    for log in (first, second):
        await all_read(log)
    assert all_in_force(second) == all_in_force(first)
    assert caplog.text.count("skipped foreign record") == len(FOREIGN) + 1


async def test_a_start_waits_for_a_broker_that_does_not_answer_yet(
    bench: Bench, kafka: Server
) -> None:
    await bench.propose(await bench.log(), BLOCKS.format(5))
    kafka.pause()
    starting = asyncio.ensure_future(bench.log())
    done, _ = await asyncio.wait([starting], timeout=2.0)
    assert not done
    kafka.resume()
    assert (await starting).in_force.version == "1+0"


async def test_each_policy_takes_the_place_of_the_one_before_in_the_next_batch(
    bench: Bench,
) -> None:
    log = await bench.log()
    expected = [(Outcome.APPROVE, Outcome.BLOCK), (Outcome.APPROVE,) * 2, (Outcome.BLOCK,) * 2]
    for number, (amount, outcomes) in enumerate(zip((5, 20, 0), expected, strict=True), 1):
        candidate = await bench.propose(log, BLOCKS.format(amount))
        assert (candidate.fate, candidate.number) == ("in the chain", number)
        assert log.candidate is candidate
        assert log.in_force.version == f"{number}+0"
        assert (decided(log, amount=1.0), decided(log, amount=10.0)) == outcomes


async def test_the_version_covers_the_lists_that_the_policy_looks_into_and_its_caps_only(
    bench: Bench,
) -> None:
    log = await bench.log()
    in_test = BLOCKS.format(5).replace('then = "block"', 'then = "block"\nmode = "off"')
    rule = BLOCKS.format(5).replace("amount > 5", "nameDest in @watched")
    off = in_test.replace("much", "other").replace("amount > 5", "nameDest in @unused")
    await bench.propose(log, rule + off + MULES)
    assert offset_of(log) == 0
    for name, is_covered in (("mules", True), ("unused", False), ("watched", True), ("new", False)):
        before = offset_of(log)
        await bench.list(log, name, "C9")
        assert offset_of(log) == (await log.end() if is_covered else before)
    await bench.cap(log, "much")
    assert offset_of(log) == await log.end()
    assert log.in_force.caps == Begun(False, frozenset({"much"}))
    before = offset_of(log)
    await bench.cap(log, "much")  # by another worker, which has seen it too
    assert offset_of(log) == before
    await bench.cap(log, "much", on=False)
    assert (offset_of(log), log.in_force.caps) == (await log.end(), NO_CAPS)
    removing = bench.writer(log).remove("mules", ["C9"], Removed(author="ann"))
    await asyncio.wait_for(removing, PATIENCE)
    assert offset_of(log) == await log.end()
    await bench.propose(log, BLOCKS.format(5))
    assert log.in_force.version == "2+0"


async def test_a_policy_that_does_not_fit_is_told_of_and_leaves_the_one_before_in_force(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    log = await bench.log()
    await bench.propose(log, MULES)
    for number, text in enumerate((UNFIT, 'model = "model-2"'), 2):
        candidate = await bench.propose(log, text)
        assert (candidate.fate, candidate.number) == ("in the chain", number)
        assert log.candidate is log.known.chain.member(1)
        assert metrics.unfit._value.get() == 1
    await bench.list(log, "mules", "C2")
    assert log.in_force.version == f"1+{await log.end()}"
    assert decided(log) is Outcome.BLOCK
    other, model = log.notes()  # the last one first
    assert re.match("policy 3 does not fit.*model-2", other)
    assert re.match("policy 2 does not fit.*no_such_field", model)
    assert (await bench.log()).notes() == log.notes()
    assert (await bench.log("model-2")).in_force.version == "3+0"
    assert metrics.unfit._value.get() == 0
    await bench.propose(log, BLOCKS.format(7))
    assert (log.notes(), log.in_force.version, metrics.unfit._value.get()) == ([], "4+0", 0)
    assert "policy 2 does not fit" in caplog.text


async def test_a_text_that_is_no_policy_is_never_in_force_and_the_next_one_is(
    bench: Bench,
) -> None:
    log = await bench.log()
    good = await bench.propose(log, BLOCKS.format(5))
    bad = await bench.propose(log, MALFORMED)
    assert (bad.number, log.candidate, log.in_force.version) == (2, good, "1+0")
    (note,) = log.notes()
    told = (
        "policy 2 does not fit, and is not in force here: line 1, column 11: the file is not TOML"
    )
    assert note.startswith(told)
    assert metrics.unfit._value.get() == 1
    again = await bench.log()
    assert (again.notes(), again.in_force.version) == ([note], "1+0")
    better = await bench.propose(log, BLOCKS.format(6))
    assert (better.number, log.candidate, log.notes()) == (3, better, [])
    assert metrics.unfit._value.get() == 0


async def test_a_restart_has_in_force_what_was_there_before_it(bench: Bench) -> None:
    log = await bench.log()

    async def step(what: Awaitable[object]) -> None:
        await what
        await all_read(log)
        again = await bench.log()
        assert all_in_force(again) == all_in_force(log)
        await again.stop()

    await step(bench.list(log, "mules", *map(str, range(100))))
    await step(bench.propose(log, UNFIT))
    await step(bench.propose(log, MALFORMED))
    await step(bench.propose(log, BLOCKS.format(5) + MULES))
    await step(bench.cap(log, "much"))
    await step(bench.cap(log))
    await step(bench.propose(log, UNFIT))
    await step(bench.list(log, "mules", "C2"))
    await step(bench.propose(log, "", parent=ROOT))
    await step(bench.cap(log, on=False))
    await step(bench.propose(log, MULES))


async def test_of_two_policies_at_once_one_wins_and_all_agree_on_it(bench: Bench) -> None:
    logs = [await bench.log(), await bench.log()]
    for attempt in range(100):
        parent = logs[0].known.chain.head
        texts = [BLOCKS.format(2 * attempt), BLOCKS.format(2 * attempt + 1)]
        fates = await asyncio.gather(
            *(bench.propose(log, text, parent) for log, text in zip(logs, texts, strict=True))
        )
        assert sorted(each.number for each in fates) == [0, attempt + 1]
        assert sorted(each.fate for each in fates) == ["in the chain", "too late"]
        for log in logs:
            await all_read(log)
            assert log.in_force.version == f"{attempt + 1}+0"
    assert all_in_force(logs[0]) == all_in_force(logs[1])
    async with reading(bench.settings) as reader:
        found: list[Any] = []
        await reader.read_to(await reader.end(), found.append)
    assert len(found) == 200


async def test_all_agree_at_each_offset_while_several_write(bench: Bench) -> None:
    logs = [await bench.log(), await bench.log(), await bench.log()]
    seen: list[dict[int, str]] = [{} for _ in logs]

    async def watch(log: ControlLog, versions: dict[int, str]) -> None:
        while True:
            await log.changed.wait_for(lambda: log.known.next_offset not in versions)
            if log._settled == log.known.next_offset:
                versions[log.known.next_offset] = log.in_force.version
            await asyncio.sleep(0)

    async def write(log: ControlLog, name: str) -> None:
        for each in range(15):
            await bench.list(log, name, f"C{each}")
            await bench.propose(log, BLOCKS.format(each) + MULES)
            if log.candidate:
                await bench.cap(log, "much", on=each % 2 == 0)

    watching = [asyncio.ensure_future(watch(*each)) for each in zip(logs, seen, strict=True)]
    writing = [
        write(log, name) for log, name in zip(logs, ("mules", "mules", "other"), strict=True)
    ]
    await asyncio.gather(*writing)
    for log in logs:
        await all_read(log)
    for task in watching:
        task.cancel()
    assert all_in_force(logs[0]) == all_in_force(logs[1]) == all_in_force(logs[2])
    common = [*chain.from_iterable(versions.items() for versions in seen)]
    assert len({*common}) == len({offset for offset, _ in common})


async def test_while_a_policy_compiles_all_is_as_before_it_and_named_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await bench.log()
    first = await bench.propose(log, MULES)
    compiling, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slowly(*given: Any) -> Any:
        loop.call_soon_threadsafe(compiling.set)
        assert go_on.wait(PATIENCE)
        return fitting.compiled(*given)

    monkeypatch.setattr(follower, "compiled", slowly)
    by = Listed(author="ann")
    policy = Proposed(parent=first.id, text=MULES + BLOCKS.format(5), author="ann")
    new = "1" * 32
    # All of one batch, and so of one fetch.
    await bench.put(
        entry("mules", "C1", by),
        proposal(new, policy),
        entry("mules", "C2", by),
        cap(CapKey(first.id, ""), Capped(on=True, share=0.5, author="worker")),
        cap(CapKey(new, "much"), Capped(on=True, share=0.5, author="worker")),
    )
    await asyncio.wait_for(compiling.wait(), PATIENCE)
    later = asyncio.ensure_future(bench.list(log, "mules", "C3"))
    await until(lambda: log._reader.consumer.highwater(log._reader.partition) == 7 or later.done())
    assert log.in_force.version == "1+2"
    assert log.in_force.caps == NO_CAPS
    assert [decided(log, each) for each in ("C1", "C2", "C3")] == [
        Outcome.BLOCK,
        Outcome.APPROVE,
        Outcome.APPROVE,
    ]
    assert decided(log, "C9", amount=9.0) is Outcome.APPROVE
    assert not later.done()
    go_on.set()
    await later
    await all_read(log)
    assert log.in_force.version == "2+7"
    assert log.in_force.caps == Begun(False, frozenset({"much"}))
    assert [decided(log, each) for each in ("C1", "C2", "C3")] == [Outcome.BLOCK] * 3
    assert all_in_force(await bench.log()) == all_in_force(log)


async def test_while_the_broker_is_silent_what_is_in_force_stays_and_the_probe_tells(
    bench: Bench, kafka: Server
) -> None:
    log = await bench.log()
    await bench.propose(log, MULES)
    await bench.list(log, "mules", "C2")
    partition = TopicPartition(bench.settings.control_topic, 0)
    probe = ReadabilityProbe(bench.settings, lambda: [partition])
    await probe.start()
    before = all_in_force(log)
    kafka.pause()
    await until(lambda: [*log.troubles(), *probe.troubles()])
    assert re.search(bench.settings.control_topic, str([*log.troubles(), *probe.troubles()]))
    assert all_in_force(log) == before
    assert decided(log) is Outcome.BLOCK
    kafka.resume()
    await bench.list(log, "mules", "C3")
    await until(lambda: not [*log.troubles(), *probe.troubles()])
    await probe.stop()
    assert decided(log, "C3") is Outcome.BLOCK
    assert all_in_force(await bench.log()) == all_in_force(log)


async def test_who_follows_a_topic_that_was_made_anew_ends_with_what_was_in_force(
    bench: Bench,
) -> None:
    log = await bench.log()
    await bench.propose(log, MULES)
    await bench.list(log, "mules", *map(str, range(10)))
    admin = AdminClient({"bootstrap.servers": ",".join(bench.settings.bootstrap_servers)})
    for done in admin.delete_topics([bench.settings.control_topic]).values():
        await asyncio.to_thread(done.result)
    with suppress(kafka_topics.TopicsMisfit):  # the broker may have made it for whoever asks for it
        await kafka_topics.ensure(bench.settings)
    await asyncio.wait_for(log._crashed.wait(), PATIENCE)
    assert isinstance(log.crash_reason, RecordsLost)
    assert log.in_force.version == "1+11"
