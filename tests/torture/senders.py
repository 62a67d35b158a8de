"""Producers with every codec of Kafka, and none."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.torture.gate import Gate
from tests.torture.written import Written

CODECS: Final = (None, "gzip", "snappy", "lz4", "zstd")
TOPIC: Final = "transactions"
REPLACE_DELAY_SECONDS: Final = 0.5
"""Seconds until a producer that takes nothing is replaced."""
STOP_TIMEOUT_SECONDS: Final = 10.0
"""Seconds that its end may take."""


class Message(NamedTuple):
    """What is sent to the input topic, or to that of labels."""

    id: str | None
    """That of a transaction, or of who tells a label; None of what is neither."""
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    """None for the producer's choice."""
    headers: tuple[tuple[str, bytes], ...] = ()
    topic: str = TOPIC


class Senders:
    """A producer for each codec, in turn; one that has ended for good is replaced."""

    def __init__(self, broker: str, gate: Gate, written: Written) -> None:
        self._broker = broker
        self._gate = gate
        self._written = written
        self._producers: dict[str | None, AIOKafkaProducer] = {}
        self._turns: Final = itertools.cycle(CODECS)

    async def __aenter__(self) -> Senders:
        for codec in CODECS:
            await self._start(codec)
        return self

    async def __aexit__(self, *exc: Any) -> None:
        for producer in self._producers.values():
            with suppress(KafkaError):
                await producer.stop()

    async def _start(self, codec: str | None) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._broker,
            acks="all",
            request_timeout_ms=10_000,
            compression_type=codec,
            linger_ms=5,
        )
        await producer.start()
        self._producers[codec] = producer

    async def send(self, messages: Sequence[Message]) -> None:
        """Send until the broker has confirmed all of them."""
        async with self._gate.passed():
            while messages:
                messages = await self._send(next(self._turns), messages)

    async def _send(self, codec: str | None, messages: Sequence[Message]) -> Sequence[Message]:
        """Try once, and return those that the broker has not confirmed."""
        producer = self._producers[codec]
        futures = []
        for each in messages:
            future = None
            with suppress(KafkaError):
                future = await producer.send(
                    each.topic, each.value, each.key, each.partition, headers=list(each.headers)
                )
            futures.append(future)
        if not any(futures):  # it has met what it did not expect, and takes nothing any more
            await self._replace(codec, producer)
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
                    known = self._written.confirmed
                    (known if each.topic == TOPIC else self._written.confirmed_labels).add(each.id)
        return again

    async def _replace(self, codec: str | None, ended: AIOKafkaProducer) -> None:
        await asyncio.sleep(REPLACE_DELAY_SECONDS)
        if self._producers[codec] is ended:
            with suppress(KafkaError):
                await self._start(codec)
            with suppress(KafkaError, asyncio.TimeoutError):
                await asyncio.wait_for(ended.stop(), STOP_TIMEOUT_SECONDS)
