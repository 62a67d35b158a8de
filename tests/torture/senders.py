"""Producers as they are out there: every codec of Kafka, and none."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.torture.gate import Gate
from tests.torture.written import Written

CODECS: Final = (None, "gzip", "snappy", "lz4", "zstd")
TOPIC: Final = "transactions"


class Message(NamedTuple):
    """What is sent to the input topic."""

    id: str | None
    """That of a transaction, None of what is none."""
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    """None for the producer's choice."""
    headers: tuple[tuple[str, bytes], ...] = ()


class Senders:
    """A producer for each codec, in turn."""

    def __init__(self, broker: str, gate: Gate, written: Written) -> None:
        self._broker = broker
        self._gate = gate
        self._written = written
        self._stack = AsyncExitStack()
        self._turns: Any = None

    async def __aenter__(self) -> Senders:
        producers = [
            await self._stack.enter_async_context(
                AIOKafkaProducer(
                    bootstrap_servers=self._broker,
                    acks="all",
                    request_timeout_ms=10_000,
                    compression_type=codec,
                    linger_ms=5,
                )
            )
            for codec in CODECS
        ]
        self._turns = itertools.cycle(producers)
        return self

    async def __aexit__(self, *exc: Any) -> None:
        await self._stack.aclose()

    async def send(self, messages: Sequence[Message]) -> None:
        """Send until the broker has confirmed all of them."""
        async with self._gate.passed():
            while messages:
                messages = await self._send(next(self._turns), messages)

    async def _send(
        self, producer: AIOKafkaProducer, messages: Sequence[Message]
    ) -> Sequence[Message]:
        """Try once, and return those that the broker has not confirmed."""
        futures = []
        for each in messages:
            future = None
            with suppress(KafkaError):
                future = await producer.send(
                    TOPIC, each.value, each.key, each.partition, headers=list(each.headers)
                )
            futures.append(future)
        again = []
        for each, future in zip(messages, futures, strict=True):
            try:
                if future is None:
                    raise KafkaError
                await future
            except KafkaError:
                again.append(each)
            else:
                if each.id is not None:
                    self._written.confirmed.add(each.id)
        return again
