"""Topics as they are, read with another client than the application's own."""

from __future__ import annotations

from time import monotonic
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, TopicPartition

Headers = tuple[tuple[str, "bytes | None"], ...]

MAX_POLL_RECORDS: Final = 1_000
POLL_SECONDS: Final = 0.1
"""Seconds to wait for so many messages."""
TIMEOUT_SECONDS: Final = 30.0
"""Seconds that a broker may take."""
ATTEMPTS: Final = 4
"""Clients that are tried, one after the other: on a busy machine one may hear nothing any more."""


class Unreadable(Exception):
    """The broker does not answer as it should."""


class Record(NamedTuple):
    """A record of a topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    written_at: int = 0
    """Milliseconds since 1970, by the broker's clock on topics that it stamps."""

    @property
    def texts(self) -> dict[str, str]:
        """Headers as texts, the last of each name."""
        return {name: (value or b"").decode(errors="replace") for name, value in self.headers}


def read(broker: str, topic: str) -> list[Record]:
    """Every committed record of a topic, by partition and offset; raises `Unreadable`."""
    for left in reversed(range(ATTEMPTS)):
        try:
            return _read_all(broker, topic)
        except Unreadable:
            if not left:
                raise
    raise AssertionError


def _read_all(broker: str, topic: str) -> list[Record]:
    options = {
        "bootstrap.servers": broker,
        "group.id": "torture-checker",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
        "auto.offset.reset": "error",
    }
    consumer = Consumer(options, logger=None)
    try:
        found = consumer.list_topics(topic, timeout=TIMEOUT_SECONDS).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in found])
        return _read(consumer, set(found))
    finally:
        consumer.close()


def _read(consumer: Consumer, unread: set[int]) -> list[Record]:
    records: list[Record] = []
    heard = monotonic()
    while unread:
        messages = consumer.consume(MAX_POLL_RECORDS, timeout=POLL_SECONDS)
        if messages:
            heard = monotonic()
        elif monotonic() - heard > TIMEOUT_SECONDS:
            raise Unreadable(f"nothing of partitions {unread} for {TIMEOUT_SECONDS:g} s")
        for message in messages:
            if (error := message.error()) is None:
                records.append(_record(message))
            elif error.code() == KafkaError._PARTITION_EOF:
                unread.discard(message.partition() or 0)  # told again once it has grown
            elif not error.retriable():
                raise Unreadable(str(error))
    return sorted(records, key=lambda each: (each.partition, each.offset))


def _record(message: object) -> Record:
    headers = tuple((name, value) for name, value in message.headers() or ())  # type: ignore[attr-defined]
    where = message.topic(), message.partition(), message.offset()  # type: ignore[attr-defined]
    what = message.key(), message.value(), headers  # type: ignore[attr-defined]
    return Record(*where, *what, message.timestamp()[1])  # type: ignore[attr-defined]


def behind(broker: str, group: str, topic: str) -> dict[int, tuple[int, int]]:
    """Where a group goes on, and the end, of each partition that it has not dealt with.

    Raises `KafkaException`.
    """
    consumer = Consumer({"bootstrap.servers": broker, "group.id": group}, logger=None)
    try:
        found = consumer.list_topics(topic, timeout=TIMEOUT_SECONDS).topics[topic].partitions
        partitions = [TopicPartition(topic, number) for number in found]
        done = consumer.committed(partitions, timeout=TIMEOUT_SECONDS)
        ends = [consumer.get_watermark_offsets(each, TIMEOUT_SECONDS)[1] for each in partitions]
        return {
            each.partition: (each.offset, end)
            for each, end in zip(done, ends, strict=True)
            if max(0, each.offset) < end
        }
    finally:
        consumer.close()
