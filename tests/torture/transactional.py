"""Producers that use transactions: most are committed, some aborted, some never ended."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import suppress
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.torture.gate import Gate
from tests.torture.load import Load
from tests.torture.senders import TOPIC
from tests.torture.written import Written

log = logging.getLogger(__name__)

INTERVAL_SECONDS: Final = (0.5, 4.0)
"""Seconds between two transactions: from, to."""
TRANSACTION_TIMEOUT_MS: Final = 4_000
"""Time after which the broker aborts one that nobody ends; until then all readers wait for it."""
FAILURES: Final = (KafkaError, AssertionError)
"""How a transaction fails; aiokafka 0.14 asserts that one which the broker has given up is not."""


class Transactional:
    """Sends new transactions of money in transactions of Kafka."""

    def __init__(
        self, broker: str, gate: Gate, load: Load, written: Written, random_: random.Random
    ) -> None:
        self._broker = broker
        self._load = load
        self._gate = gate
        self._written = written
        self._random = random_
        self.ends = {"committed": 0, "aborted": 0, "left open": 0, "unknown": 0}
        """How often a transaction ended in each way."""

    async def send(self) -> None:
        """Send until cancelled, with a new producer whenever one has left its transaction open."""
        number = 0
        while True:
            number += 1
            producer = AIOKafkaProducer(
                bootstrap_servers=self._broker,
                transactional_id=f"torture-{number}",
                transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
                request_timeout_ms=10_000,
                compression_type=self._random.choice([None, "gzip", "zstd"]),
            )
            try:
                await producer.start()
                await self._transactions(producer)
            except FAILURES as exc:
                log.debug("a transaction has come to no good: %r", exc)
            finally:
                with suppress(*FAILURES):
                    await producer.stop()

    async def _transactions(self, producer: AIOKafkaProducer) -> None:
        while True:
            await asyncio.sleep(self._random.uniform(*INTERVAL_SECONDS))
            end = self._random.choices(["committed", "aborted", "left open"], [70, 26, 4])[0]
            async with self._gate.passed():
                ids = await self._one(producer, end)
            self.ends[end] += 1
            if end == "committed":
                self._written.confirmed.update(ids)
            elif end == "left open":
                return

    async def _one(self, producer: AIOKafkaProducer, end: str) -> list[str]:
        ids: list[str] = []
        messages: list[asyncio.Future[object]] = []
        try:
            await producer.begin_transaction()
            for _ in range(self._random.randint(1, 30)):
                id_, value = self._load.new(again=False)
                ids.append(id_)
                message = await producer.send(TOPIC, value, key=id_.encode())
                message.add_done_callback(_seen)
                messages.append(message)
            await producer.flush()
            if end != "committed":
                # Whatever becomes of it, nobody commits it.
                self._written.aborted.update(ids)
            if end == "committed":
                await asyncio.gather(*messages)  # aiokafka commits what is left if some have failed
                await producer.commit_transaction()
            elif end == "aborted":
                await producer.abort_transaction()
        except FAILURES:
            self.ends["unknown"] += 1
            raise
        return ids


def _seen(message: asyncio.Future[object]) -> None:
    if not message.cancelled():
        message.exception()
