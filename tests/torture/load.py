"""Traffic of every kind while things break, and callers who remember what they were told."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import deque
from typing import Any, Final

import aiohttp
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.e2e.messages import encoded, transaction
from tests.torture.cluster import Cluster
from tests.torture.hostile import mutated

log = logging.getLogger(__name__)

TICK: Final = 0.1
"""Seconds between two sends."""
RECENT: Final = 20_000
"""Transactions that may be repeated, or asked for."""


class Load:
    """Sends messages at a rate, and keeps what the broker has confirmed."""

    def __init__(self, cluster: Cluster, random_: random.Random, rate: float) -> None:
        self._cluster = cluster
        self._random = random_
        self._rate = rate
        self._recent: deque[tuple[str, int]] = deque(maxlen=RECENT)
        self.confirmed: set[str] = set()
        """Ids of valid transactions that the broker has."""
        self.sent = 0
        self.told: dict[str, dict[str, Any]] = {}
        """The first decision that any caller was given, by id."""
        self.changed: list[str] = []
        """Ids of which another caller was told something else."""

    async def send(self) -> None:
        """Send until cancelled; what a broken broker has not confirmed is sent again."""
        loop = asyncio.get_running_loop()
        async with AIOKafkaProducer(
            bootstrap_servers=self._cluster.broker,
            acks="all",
            request_timeout_ms=10_000,
        ) as producer:
            started, due = loop.time(), 0.0
            while True:
                due += self._rate * TICK
                await self._send(producer, [self._message() for _ in range(int(due))])
                self.sent += int(due)
                due -= int(due)
                started += TICK
                await asyncio.sleep(max(0.0, started - loop.time()))

    async def ask(self) -> None:
        """Ask one worker or another for decisions until cancelled, and compare the answers."""
        timeout = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                await asyncio.sleep(TICK)
                if not self._recent:
                    continue
                id_, _ = self._random.choice(self._recent)
                worker = self._random.choice(self._cluster.workers)
                with contextlib.suppress(aiohttp.ClientError, asyncio.TimeoutError, OSError):
                    path = f"{worker.url}/transaction/{id_}/status?wait_seconds=5"
                    async with session.get(path) as answer:
                        if answer.status == 200:
                            self._compare(id_, await answer.json())

    def _compare(self, id_: str, decision: dict[str, Any]) -> None:
        if self.told.setdefault(id_, decision) != decision:
            self.changed.append(id_)

    def _message(self) -> tuple[str | None, bytes | None, bytes | None, int | None]:
        """An id if it is valid, key, value and partition, None for the producer's choice."""
        kind = self._random.random()
        if kind < 0.05 and self._recent:
            id_, seed = self._random.choice(self._recent)  # the same again
        elif kind < 0.08 and self._recent:
            id_, seed = self._random.choice(self._recent)
            seed += 1  # another payload under a used id
        elif kind < 0.11:
            good = encoded(transaction(f"bad{self.sent}-{self._random.random()}"))
            return None, b"k", mutated(good, self._random), None
        else:
            id_, seed = f"t{self._random.getrandbits(64):016x}", 0
            self._recent.append((id_, seed))
        value = encoded(transaction(id_, seed=seed))
        if kind > 0.97:
            return id_, None, value, self._random.randrange(4)  # in any partition
        return id_, id_.encode(), value, None

    async def _send(self, producer: AIOKafkaProducer, messages: list[Any]) -> None:
        while messages:
            futures = []
            for _, key, value, partition in messages:
                with contextlib.suppress(KafkaError):
                    sent = await producer.send("transactions", value, key=key, partition=partition)
                    futures.append(sent)
                    continue
                futures.append(None)
            again = []
            for message, future in zip(messages, futures, strict=True):
                try:
                    if future is None:
                        raise KafkaError
                    await future
                except KafkaError:
                    again.append(message)
                else:
                    if message[0] is not None:
                        self.confirmed.add(message[0])
            messages = again
