"""Where the partitions of a topic end.

`ListOffsets` is not asked alone: brokers that are compatible with Kafka may answer it with the
first offset of the last batch plus one, and it does not tell of open transactions. What a fetch
answers is what a reader goes by.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka_errors
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.fetch import FetchRequest

WITHIN: Final = 10.0
"""Seconds in which brokers have to answer."""
_PAUSE: Final = 0.2
_LEAST_BYTES: Final = 1
_WAIT_MS: Final = 1
"""Without any wait, the embedded broker answers of no partition."""
_LATEST: Final = -1
_READ_COMMITTED: Final = 1
_WITH_STABLE_OFFSET: Final = 4
"""Version of the answer to a fetch from which on it has the last stable offset."""


class End(NamedTuple):
    """Where a partition ends."""

    high_water: int
    """Offset that the next record will get."""
    stable: int
    """Offset up to which no transaction is open: so far can be read now."""


class OpenTransaction(kafka_errors.KafkaError):  # type: ignore[misc]
    """Records that are there cannot be read before somebody's transaction has ended."""

    def __init__(self, partition: TopicPartition, offset: int) -> None:
        """`offset` is the first of them."""
        super().__init__(
            f"{partition.topic}/{partition.partition}/{offset} belongs to a transaction of "
            "another program, which is neither committed nor aborted yet"
        )


async def ends(
    consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition], within: float = WITHIN
) -> dict[TopicPartition, End]:
    """Return the ends of partitions, of any topic, assigned or not; raises `KafkaError`.

    `consumer` reads committed records only. What may pass is tried again for `within` seconds;
    aiokafka's own question is for 40, and then tells nothing of the reason.
    """
    wanted = list(partitions)
    reasons: list[kafka_errors.KafkaError] = []
    try:
        return await asyncio.wait_for(_until_answered(consumer, wanted, reasons), within)
    except asyncio.TimeoutError:
        if reasons:
            raise reasons[-1] from None
        raise kafka_errors.KafkaTimeoutError(f"no answer within {within:g} s") from None


async def _until_answered(
    consumer: AIOKafkaConsumer,
    partitions: list[TopicPartition],
    reasons: list[kafka_errors.KafkaError],
) -> dict[TopicPartition, End]:
    while True:
        try:
            return await _ends(consumer, partitions)
        except kafka_errors.KafkaError as exc:
            if not exc.retriable:
                raise
            reasons.append(exc)
            if exc.invalid_metadata:
                await consumer._client.force_metadata_update()
            await asyncio.sleep(_PAUSE)


async def _ends(
    consumer: AIOKafkaConsumer, partitions: list[TopicPartition]
) -> dict[TopicPartition, End]:
    await known(consumer._client, {partition.topic for partition in partitions})
    asked_for = dict.fromkeys(partitions, _LATEST)
    answers = await consumer._fetcher._proc_offset_requests(asked_for)
    listed: Mapping[TopicPartition, int] = {tp: offset for tp, (offset, _) in answers.items()}
    by_node: defaultdict[int, list[TopicPartition]] = defaultdict(list)
    for partition in listed:
        node = consumer._client.cluster.leader_for_partition(partition)
        if node is None or node < 0:
            raise kafka_errors.LeaderNotAvailableError(partition)
        by_node[node].append(partition)
    asked = (
        _fetch(consumer, node, {partition: listed[partition] for partition in led})
        for node, led in by_node.items()
    )
    found = await asyncio.gather(*asked)
    return {partition: end for each in found for partition, end in each.items()}


async def known(client: AIOKafkaClient, topics: Iterable[str]) -> None:
    """Let the client know where topics are; raises `KafkaError` for one that it may not know."""
    cluster = client.cluster
    for topic in topics:
        await client.add_topic(topic)
        if cluster.partitions_for_topic(topic) is None:
            await client.force_metadata_update()
        if topic in cluster.unauthorized_topics:
            raise kafka_errors.TopicAuthorizationFailedError(topic)
        if cluster.partitions_for_topic(topic) is None:
            raise kafka_errors.UnknownTopicOrPartitionError(topic)


async def _fetch(
    consumer: AIOKafkaConsumer, node: int, listed: Mapping[TopicPartition, int]
) -> dict[TopicPartition, End]:
    by_topic: defaultdict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for (topic, partition), offset in listed.items():
        by_topic[topic].append((partition, offset, _LEAST_BYTES))
    request = FetchRequest(_WAIT_MS, 0, _LEAST_BYTES, _READ_COMMITTED, list(by_topic.items()))
    response: Any = await consumer._client.send(node, request)
    found: dict[TopicPartition, End] = {}
    for topic, answers in response.topics:
        for number, code, high_water, *rest in answers:
            partition = TopicPartition(topic, number)
            error = kafka_errors.for_code(code)
            if error is not kafka_errors.NoError:
                raise error(partition)
            stable = rest[0] if response.API_VERSION >= _WITH_STABLE_OFFSET else high_water
            found[partition] = End(high_water, stable if stable >= 0 else high_water)
    if missing := listed.keys() - found.keys():
        raise kafka_errors.LeaderNotAvailableError(missing)
    return found
