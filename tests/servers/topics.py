"""Topics as their operators set them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ListOffsetsResultInfo,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from fraudapp.local.processes import POLL_INTERVAL


def _admin(url: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": url.removeprefix("kafka://")})


async def create(url: str, topic: str, partitions: int, **configuration: str) -> None:
    """Make a topic; underscores in the names of options stand for dots."""
    options = {name.replace("_", "."): value for name, value in configuration.items()}
    new = NewTopic(topic, partitions, 1, config=options)
    admin = _admin(url)  # ends what it was asked for when it is forgotten
    for done in admin.create_topics([new]).values():
        await asyncio.to_thread(done.result)


async def configure(url: str, topic: str, configuration: Mapping[str, str]) -> None:
    """Set options of a topic; returns once the broker tells that they are."""
    entries = [
        ConfigEntry(option, value, incremental_operation=AlterConfigOpType.SET)
        for option, value in configuration.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    admin = _admin(url)
    for done in admin.incremental_alter_configs([resource]).values():
        await asyncio.to_thread(done.result)
    while not configuration.items() <= (await configuration_of(url, topic)).items():
        await asyncio.sleep(POLL_INTERVAL)


async def configuration_of(url: str, topic: str) -> dict[str, str]:
    """How a topic is set."""
    admin = _admin(url)
    while not await asyncio.to_thread(_partitions, admin, topic):
        await asyncio.sleep(POLL_INTERVAL)  # it was made a moment ago
    (done,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
    entries = await asyncio.to_thread(done.result)
    return {option: entry.value for option, entry in entries.items()}


async def add_partitions(url: str, topic: str, partitions: int) -> None:
    """Let a topic have so many partitions, more than it has; returns once the broker tells so."""
    admin = _admin(url)
    for done in admin.create_partitions([NewPartitions(topic, partitions)]).values():
        await asyncio.to_thread(done.result)
    while await asyncio.to_thread(_partitions, admin, topic) != partitions:
        await asyncio.sleep(POLL_INTERVAL)


async def partitions_of(url: str, topic: str) -> int:
    """How many partitions a topic has."""
    return await asyncio.to_thread(_partitions, _admin(url), topic)


def _partitions(admin: AdminClient, topic: str) -> int:
    return len(admin.list_topics(topic).topics[topic].partitions)


async def committed(
    url: str, group: str, partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, int]:
    """Offsets from which a group goes on, a negative one where it has none yet."""
    request = ConsumerGroupTopicPartitions(group, list(partitions))
    admin = _admin(url)
    (done,) = admin.list_consumer_group_offsets([request]).values()
    found = (await asyncio.to_thread(done.result)).topic_partitions
    return {each: each.offset for each in found}


async def delete(url: str, topic: str) -> None:
    """Delete a topic."""
    admin = _admin(url)
    for done in admin.delete_topics([topic]).values():
        await asyncio.to_thread(done.result)


async def cut_before(url: str, topic: str, partition: int, offset: int) -> None:
    """Delete the records of a partition that are before an offset."""
    admin = _admin(url)
    for done in admin.delete_records([TopicPartition(topic, partition, offset)]).values():
        await asyncio.to_thread(done.result)


async def emptied(url: str, topic: str) -> None:
    """Return once nothing is left of a topic that was deleted and made anew.

    For a moment a broker takes messages for the new one, and puts them where the old one was.
    """
    admin = _admin(url)
    while True:
        partitions = range(await asyncio.to_thread(_partitions, admin, topic))
        latest = {TopicPartition(topic, number): OffsetSpec.latest() for number in partitions}  # type: ignore[no-untyped-call]
        ends = [await asyncio.to_thread(_end, done) for done in admin.list_offsets(latest).values()]
        if ends and not any(ends):
            return
        await asyncio.sleep(POLL_INTERVAL)


def _end(done: Future[ListOffsetsResultInfo]) -> int:
    """An offset, or -1 if the broker cannot tell now."""
    try:
        return int(done.result().offset)
    except KafkaException:
        return -1
