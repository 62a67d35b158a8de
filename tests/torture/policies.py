"""Policies, lists and caps that change all the time, and many of them at once."""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from msgspec.structs import replace

from fraudapp.control.reader import ControlReader
from fraudapp.settings import load
from models.control.records import (
    CapKey,
    Capped,
    Distributed,
    Listed,
    Proposed,
    Removed,
    distribution,
    entry,
    proposal,
    removal,
)
from models.control.records import cap as cap_record
from models.control.state import ControlState
from tests.torture.gate import Gate
from tests.torture.plans import as_toml, new_plan, plan_of

log = logging.getLogger(__name__)

INTERVAL_SECONDS: Final = (0.05, 1.0)
"""Seconds between two changes: from, to."""
TOPIC: Final = "control"
LISTS: Final = ("watched", "blocked", "trusted", "unused")
TYPES: Final = ("CASH_IN", "CASH_OUT", "DEBIT", "PAYMENT", "TRANSFER", "OTHER")
_New = tuple[bytes, "bytes | None", list[tuple[str, bytes]]]


class Policies:
    """Writes what comes in force, what is too late, and what fits nowhere."""

    def __init__(
        self,
        broker: str,
        gate: Gate,
        random_: random.Random,
        *,
        remembers: bool,
        models: Mapping[str, Distributed] | None = None,
    ) -> None:
        """`remembers` says whether rules may look at values of profiles.

        `models`, by version, are given to all workers; policies may name them.
        """
        self._models = models or {}
        self._broker = broker
        self._gate = gate
        self._random = random_
        self._remembers = remembers
        self.count: Counter[str] = Counter()

    async def write(self) -> None:
        """Write until cancelled."""
        while True:
            with suppress(KafkaError, asyncio.TimeoutError):
                await self._write()
            await asyncio.sleep(1)

    async def _write(self) -> None:
        settings = load({"FRAUD_BROKER_URL": f"kafka://{self._broker}"})
        reader, known = ControlReader(settings), ControlState()
        try:
            await reader.start()
            async with AIOKafkaProducer(
                bootstrap_servers=self._broker, acks="all", request_timeout_ms=10_000
            ) as producer:
                while True:
                    await asyncio.sleep(self._random.uniform(*INTERVAL_SECONDS))
                    async with self._gate.passed():
                        await asyncio.wait_for(self._change(reader, known, producer), 30)
        finally:
            await reader.stop()

    async def _change(
        self, reader: ControlReader, known: ControlState, producer: AIOKafkaProducer
    ) -> None:
        if (end := await reader.end()) < reader.next_offset:
            raise KafkaError("the broker was set back")
        await reader.read_to(end, known.apply)
        for key, value, headers in self._records(known):
            await producer.send_and_wait(TOPIC, value, key, partition=0, headers=headers)

    def _records(self, known: ControlState) -> list[_New]:
        if missing := self._models.keys() - known.models.keys():
            self.count["models"] += len(missing)
            return [each for version in sorted(missing) for each in self._distributions(version)]
        now, kind = datetime.now(timezone.utc), self._random.random()
        head = known.chain.head
        if kind < 0.35:
            self.count["policies"] += 1
            return [self._proposal(head, now)]
        if kind < 0.45:
            self.count["rivals"] += 1
            rivals = [self._proposal(head, now) for _ in range(self._random.randint(2, 4))]
            return [*rivals, self._proposal(uuid.uuid4().hex, now)]
        if kind < 0.55 and head:
            self.count["caps"] += 1
            rules = plan_of(known.chain.members[-1].proposed.text)["rules"]
            rule = self._random.choice(["", *(each["id"] for each in rules)])
            value = Capped(on=self._random.random() < 0.5, share=0.5, author="torture")
            return [cap_record(CapKey(head, rule), value)]
        self.count["entries"] += 1
        return [self._entry(now) for _ in range(self._random.randint(1, 4))]

    def _distributions(self, version: str) -> list[_New]:
        """A model, after some that are damaged."""
        whole = self._models[version]
        cut = [
            replace(whole, model=whole.model[: self._random.randrange(len(whole.model))]),
            replace(whole, card=whole.card[: self._random.randrange(len(whole.card))]),
        ]
        return [distribution(version, each) for each in (*cut, whole)]

    def _proposal(self, parent: str, now: datetime) -> _New:
        models = [*self._models]
        plan = new_plan(self._random, now, remembers=self._remembers, models=models)
        proposed = Proposed(parent=parent, text=as_toml(plan), author="torture")
        return proposal(uuid.uuid4().hex, proposed)

    def _entry(self, now: datetime) -> _New:
        name, value = self._random.choice(LISTS), self._random.choice(TYPES)
        if self._random.random() < 0.4:
            return removal(name, value, Removed(author="torture"))
        ends = now + timedelta(seconds=self._random.uniform(-5, 20))
        expires_at = ends if self._random.random() < 0.5 else None
        return entry(name, value, Listed(author="torture", expires_at=expires_at))
