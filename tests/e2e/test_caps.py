"""Caps keep a policy that is a mistake from blocking much, and end by themselves."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final, cast

from aiokafka import AIOKafkaProducer
from msgspec import json

from fraudapp.control.reader import ControlReader, reading
from fraudapp.control.writer import ControlWriter
from fraudapp.kafka.producer import BatchProducer
from fraudapp.settings import load
from models.control.records import CapKey, Capped, ControlRecord, Listed
from models.control.state import Change, ControlState
from tests.support import readback
from tests.support.messages import encoded, send_transactions, transaction
from tests.support.worker import Worker

MULE: Final = "C-mule"
RATE: Final = 500
"""Transactions a second."""
PAUSE: Final = 0.02
WINDOW: Final = timedelta(seconds=10)
LIMIT, ENOUGH = 0.05, 100
BOUND: Final = timedelta(seconds=2)
"""The time after which nothing is blocked by the policy any more, once its share is too high."""

EVERYTHING: Final = """
[[rules]]
id = "everything"
when = "amount >= 0"
then = "block"
reason = "It was meant to be less than everything."
owner = "fraud"
"""
BLOCKS_ALL: Final = f"""{EVERYTHING}
[lists.mules]
field = "nameDest"
then = "block"
reason = "The receiver is a mule."
owner = "fraud"

[caps]
block_share = {LIMIT}
window_seconds = {WINDOW.seconds}
min_decisions = {ENOUGH}
"""
GOES_TO_TEST: Final = f"""{EVERYTHING}
[caps]
rule_share = 0.5
window_seconds = 2
calm_seconds = 4
"""


class Control:
    """The control topic, as a command reads and writes it."""

    def __init__(self, reader: ControlReader, producer: BatchProducer, settings: Any) -> None:
        self.known = ControlState()
        self.effective: list[tuple[CapKey, Capped]] = []
        """The records by which a cap has begun or ended."""
        self.offsets: list[int] = []
        """Theirs in the topic."""
        self._reader = reader
        self.writer = ControlWriter(settings, producer, self.known, self.read_to, reader.end)

    async def read_to(self, offset: int) -> None:
        await self._reader.read_to(offset, self._note)

    async def have(self, *expected: bool) -> None:
        """Read until caps have begun (True) and ended (False) in this order."""
        deadline = asyncio.get_running_loop().time() + 60.0
        while (found := tuple(value.on for _, value in self.effective)) != expected:
            assert asyncio.get_running_loop().time() < deadline, f"still {found}"
            await self.read_to(await self._reader.end())
            await asyncio.sleep(PAUSE)

    def _note(self, record: ControlRecord) -> None:
        change = self.known.apply(record)
        if change is Change.CAPS:
            self.effective.append((cast("CapKey", record.key), cast("Capped", record.value)))
            self.offsets.append(record.offset)


@asynccontextmanager
async def controlling(environment: Mapping[str, str]) -> AsyncIterator[Control]:
    settings = load(environment)
    producer = BatchProducer(settings)
    await producer.start()
    try:
        async with reading(settings) as reader:
            yield Control(reader, producer, settings)
    finally:
        await producer.stop()


async def send_on(environment: Mapping[str, str], stopping: asyncio.Event) -> int:
    """Send at a steady rate, one in fifty to a mule; return how many were sent."""
    broker = environment["FRAUD_BROKER_URL"].removeprefix("kafka://")
    topic, count = environment["FRAUD_TRANSACTIONS_TOPIC"], 0
    clock = asyncio.get_running_loop().time
    started = clock()
    async with AIOKafkaProducer(bootstrap_servers=broker) as producer:
        while not stopping.is_set():
            while count < RATE * (clock() - started):
                id_ = f"t{count}"
                fields: dict[str, Any] = {"nameDest": MULE} if count % 50 == 0 else {}
                value = encoded(transaction(id_, **fields))
                await producer.send(topic, value, key=id_.encode())
                count += 1
            await asyncio.sleep(PAUSE)
    return count


async def decided(environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """All decisions, in the order of their times."""
    records = await readback.in_topic(environment, "decisions")
    found = [json.decode(each.value or b"") for each in records]
    for each in found:
        each["decided_at"] = datetime.fromisoformat(each["decided_at"].replace("Z", "+00:00"))
    return sorted(found, key=lambda each: each["decided_at"])


def crossing(decisions: Sequence[Mapping[str, Any]]) -> datetime:
    """When the share of what the policy has blocked was above its limit for the first time."""
    window: deque[tuple[datetime, bool]] = deque()
    for each in decisions:
        window.append((each["decided_at"], is_of_the_policy(each)))
        while window[0][0] <= each["decided_at"] - WINDOW:
            window.popleft()
        blocked = sum(is_blocked for _, is_blocked in window)
        if len(window) >= ENOUGH and blocked > LIMIT * len(window):
            return window[-1][0]
    raise AssertionError("it never was")


def is_of_the_policy(decision: Mapping[str, Any]) -> bool:
    codes = {each["code"] for each in decision["reasons"]}
    return decision["decision"] == "BLOCK" and "LIST_MULES" not in codes


def of_policy(decisions: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    return (each for each in decisions if each["policy_version"].startswith("1+"))


async def test_a_policy_that_blocks_everything_does_so_for_two_seconds(
    new_worker: Callable[..., Worker],
) -> None:
    one = await asyncio.to_thread(new_worker)
    other = await asyncio.to_thread(new_worker)
    stopping = asyncio.Event()
    sending = asyncio.create_task(send_on(one.environment, stopping))
    async with controlling(one.environment) as control:
        await readback.eventually(lambda: one.stats()["decisions"]["total"] > RATE)
        await control.writer.add("mules", [MULE], Listed(author="test"))
        await control.writer.propose(BLOCKS_ALL, author="test", parent="")
        published = (await asyncio.to_thread(one.stats))["decisions"]["total"]
        await readback.eventually(lambda: one.stats()["decisions"]["total"] > published + 6 * RATE)
        stopping.set()
        sent = await sending
        await readback.eventually(lambda: one.stats()["decisions"]["total"] == sent)
        await control.have(True)
    ((key, begun),) = control.effective
    found = [*of_policy(await decided(one.environment))]
    crossed = crossing(found)
    late = [each for each in found if each["decided_at"] > crossed + BOUND]
    last = max(each["decided_at"] for each in found if is_of_the_policy(each))
    assert len(late) > RATE
    assert MULE in {each["transaction"]["nameDest"] for each in late}
    assert last <= crossed + BOUND
    for each in found:
        codes = [reason["code"] for reason in each["reasons"]]
        if each["transaction"]["nameDest"] == MULE:
            assert (each["decision"], codes[0]) == ("BLOCK", "LIST_MULES")
        elif each["decision"] != "BLOCK":
            assert (each["decision"], codes[:2]) == ("FLAG", ["CAPPED", "RULE_EVERYTHING"])
    assert (key.rule, begun.share > LIMIT) == ("", True)
    assert begun.author in {name_of(one), name_of(other)}


async def test_a_rule_above_its_cap_is_in_test_until_it_is_calm(worker: Worker) -> None:
    async def send(name: str) -> None:
        rows = [transaction(f"{name}{number}") for number in range(200)]
        await send_transactions(worker.environment, rows)

    async with controlling(worker.environment) as control:
        await control.writer.propose(GOES_TO_TEST, author="test", parent="")
        await readback.eventually(lambda: in_force(worker) == {"1+0"})
        await send("first")
        await control.have(True)
        await send("second")
        await control.have(True, False)
        await readback.eventually(lambda: in_force(worker) == {f"1+{control.known.next_offset}"})
        await send("third")
        await control.have(True, False, True)
    assert {key.rule for key, _ in control.effective} == {"everything"}
    versions = ["1+0", *(f"1+{offset + 1}" for offset in control.offsets)]
    found = await decided(worker.environment)
    assert {each["hits"][0] for each in found} == {"everything"}
    blocks = {each["policy_version"] for each in found if is_of_the_policy(each) and by_rule(each)}
    others = {each["policy_version"] for each in found if not by_rule(each)}
    assert {versions[0], versions[2]} == blocks
    assert versions[1] in others <= {versions[1], versions[3]}


def by_rule(decision: Mapping[str, Any]) -> bool:
    return "RULE_EVERYTHING" in {each["code"] for each in decision["reasons"]}


def in_force(worker: Worker) -> set[str]:
    """What each worker has in force, as the heartbeats of one tell."""
    return {each["policy_version"] for each in worker.get("/stats/details")[1]["workers"]}


def name_of(worker: Worker) -> str:
    return f"{socket.gethostname()}:{worker.environment['FRAUD_WEB_PORT']}"
