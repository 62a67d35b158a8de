"""Topics full of transactions, written before anything is measured.

Every contender reads the same records of the same topic, each in a consumer group of its own, so
that writing costs nobody anything. PaySim-shaped rows from the project's generator, JSON, about 280
bytes, keyed by id with Kafka's own partitioner.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from functools import lru_cache

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from msgspec import json

from data.generator import generate
from data.plan import Plan

DISTINCT_ROWS = 50_000
"""Rows that are generated; from there on they come again under new ids."""

Messages = Callable[[int, str], Iterator[tuple[bytes, bytes]]]
"""Makes keys and values of so many different transactions, whose ids begin with the text."""


def make_topic(broker: str, partitions: int) -> str:
    """Create an empty topic, and return its name."""
    name = f"transactions-{uuid.uuid4().hex[:10]}"
    topic = NewTopic(name, partitions, 1, config={"max.message.bytes": "4000000"})
    admin = AdminClient({"bootstrap.servers": broker})
    admin.create_topics([topic])[name].result(30)
    return name


def drop_topic(broker: str, topic: str) -> None:
    """Delete a topic and free its disk."""
    admin = AdminClient({"bootstrap.servers": broker})
    admin.delete_topics([topic])[topic].result(30)


def fill(
    broker: str, topic: str, count: int, prefix: str = "t", messages: Messages | None = None
) -> None:
    """Write so many transactions; raises `RuntimeError` if the broker does not take them all."""
    refused: list[object] = []
    producer = Producer(
        {
            "bootstrap.servers": broker,
            "partitioner": "murmur2_random",  # as Kafka's Java client
            "linger.ms": 20,
            "batch.num.messages": 10_000,
            "queue.buffering.max.messages": 500_000,
            "delivery.report.only.error": True,
        }
    )
    for key, value in (messages or paysim)(count, prefix):
        while True:
            try:
                producer.produce(
                    topic, value, key, on_delivery=lambda error, _: refused.append(error)
                )
            except BufferError:
                producer.poll(0.1)
            else:
                break
    left = producer.flush(120)
    if left or refused:
        raise RuntimeError(f"of {count} transactions, {left} are left, refused: {refused[:3]}")


def paysim(count: int, prefix: str = "t") -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values of so many different transactions."""
    tails = _tails()
    for number in range(count):
        key = b"%s-%d" % (prefix.encode(), number)
        yield key, b'{"transaction_id":"%s",%s' % (key, tails[number % len(tails)])


@lru_cache(maxsize=1)
def _tails() -> list[bytes]:
    """JSON of each generated row without its opening brace."""
    rows = generate(Plan(rows=DISTINCT_ROWS, seed=7))
    return [json.encode(row._asdict())[1:] for row in rows]
