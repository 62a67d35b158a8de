"""How far a contender has come, seen from outside: in the sinks and the log, never by asking it.

Asking costs the servers next to nothing: DBSIZE of Redis and the ends of a topic are numbers they
have at hand. Rows of Postgres are counted only once Redis has everything, and objects on S3 by
their names; that they hold what their names say is checked when the clock has stopped.
"""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import asyncpg
import redis
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from fraudapp.sinks.archive.files import SUFFIX
from tests.benchmarks.stack import Namespace

POLL_SECONDS: Final = 0.02  # seconds between two looks
_NO_TOPIC: Final = (
    KafkaError._UNKNOWN_PARTITION,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
)


class Rate(NamedTuple):
    """What was seen of one run."""

    events_per_s: float
    events: int
    """Events from the first look that saw any to the end."""
    seconds: float
    """The same, in time."""
    complete: bool
    """Whether all events were kept within the time that there was."""


class Stalled(RuntimeError):
    """A contender did nothing for so long, or not what it seemed to: its rate means nothing."""


class Sinks:
    """What a namespace's sinks hold."""

    def __init__(self, namespace: Namespace) -> None:
        self._url = namespace.environment["FRAUD_POSTGRES_URL"].replace("+asyncpg", "")
        self._redis = redis.Redis(port=namespace.stack.redis.port)
        self._bucket = namespace.bucket

    def in_redis(self) -> int:
        """Keys."""
        return int(self._redis.dbsize())

    def in_postgres(self) -> int:
        """Rows of the history."""
        return asyncio.run(self._rows())

    def in_s3(self) -> int:
        """Decisions by the ranges of offsets in the names of all objects; see `archive.objects`."""
        return sum(_named(path) for path in self._bucket.rglob(f"*{SUFFIX}"))

    def lines_in_s3(self) -> int:
        """Lines of all objects."""
        return sum(
            gzip.decompress(path.read_bytes()).count(b"\n")
            for path in self._bucket.rglob(f"*{SUFFIX}")
        )

    def in_each(self) -> int:
        """What every one of them has: each may follow at its own pace."""
        return min(self.in_redis(), self.in_s3(), self.in_postgres())

    async def _rows(self) -> int:
        connection = await asyncpg.connect(self._url)
        try:
            return int(await connection.fetchval("SELECT count(*) FROM decisions"))
        finally:
            await connection.close()


class Log:
    """The decision log of our worker: the ends of the topic's partitions."""

    def __init__(self, namespace: Namespace, partitions: int) -> None:
        self._topic = [
            TopicPartition(namespace.decisions_topic, number) for number in range(partitions)
        ]
        broker = namespace.stack.broker
        self._consumer = Consumer(
            {"bootstrap.servers": broker, "group.id": f"{namespace.name}-watch"}
        )

    def decided(self) -> int:
        """Decisions so far; none before the topic is there."""
        try:
            ends = [self._consumer.get_watermark_offsets(each, timeout=30) for each in self._topic]
        except KafkaException as exc:
            if exc.args[0].code() in _NO_TOPIC:
                return 0
            raise
        return sum(high for _, high in ends)


def measure(
    seen: Callable[[], int],
    kept: Callable[[], int],
    sure: Callable[[], int],
    *,
    count: int,
    limit: float,
    alive: Callable[[], None],
    start_within: float = 60.0,
) -> Rate:
    """Wait until `count` events are kept or `limit` seconds after the first have gone.

    `seen` is cheap and asked often, `kept` is what counts, and asked only at the end; `sure` takes
    its time, and is asked once, after the last.

    The clock starts at the first look that sees events, and those are not counted: neither the
    start of a process nor its first batch is part of the rate. `alive` raises if the process is no
    more. Raises `Stalled`.
    """
    begin = time.monotonic()
    while not (first := seen()):
        alive()
        if time.monotonic() - begin > start_within:
            raise Stalled(f"nothing happened within {start_within:g} s")
        time.sleep(POLL_SECONDS)
    begin = time.monotonic()
    end = begin + limit
    while seen() < count and time.monotonic() < end:
        alive()
        time.sleep(POLL_SECONDS)
    while True:
        asked = time.monotonic()
        done = kept()
        if done >= count or asked >= end:
            events, seconds = max(0, done - first), asked - begin
            if done >= count > (found := sure()):
                raise Stalled(f"{done} events seemed to be kept, and {found} are")
            return Rate(events / seconds, events, seconds, done >= count)
        alive()
        # Counting is work for the servers: at most a fifth of the time.
        time.sleep(max(POLL_SECONDS, 4 * (time.monotonic() - asked)))


def _named(path: Path) -> int:
    first, last, _ = path.name.removesuffix(SUFFIX).split("-")
    return int(last) - int(first) + 1
