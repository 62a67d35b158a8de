"""Which version of the policy the owner of each partition has, as its heartbeats say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final

import msgspec
from aiokafka import ConsumerRecord, TopicPartition
from msgspec import Struct

from fraudapp.kafka.clients import new_consumer
from fraudapp.kafka.offsets import ends
from fraudapp.settings import Settings
from models.control.versions import Version

_POLL_SECONDS: Final = 1.0
_TAIL: Final = 10
"""Records read from the end of each partition; the last of ours among them is the latest."""

Covers = Callable[["Version | None"], bool]
"""Says whether a version is one that is waited for; None is that of thresholds of the settings."""


class Reported(Struct, frozen=True):
    """The fields of a heartbeat that tell what decides at the owner of a partition."""

    worker: str
    """HOST:PORT of its web server."""
    at: float
    """Seconds since 1970, by its clock."""
    policy_version: str


class Acknowledgements:
    """Follows the heartbeats from the latest of each partition on.

    Their topic holds as many heartbeats as its segments do, and each of its partitions is about one
    partition only, so the end of each is enough. Methods raise `KafkaError`.
    """

    def __init__(self, settings: Settings) -> None:
        self.topic: Final = f"{settings.app_id}-partition-reports-changelog"
        self.latest: Final[dict[int, Reported]] = {}
        """By partition, as far as they were read; a partition that never had an owner has none."""
        self.partitions: Final = range(settings.topic_partitions)
        """All partitions that need an owner."""
        self._consumer = new_consumer(
            settings, fetch_max_wait_ms=int(settings.broker_fetch_wait * 1_000)
        )

    async def start(self) -> None:
        """Connect, and read the latest heartbeats."""
        await self._consumer.start()
        await self._find()

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def until(self, covers: Covers, within: float) -> bool:
        """Return whether all partitions report a version that is covered within so many seconds."""
        deadline = monotonic() + within
        while self.missing(covers):
            left = min(deadline - monotonic(), _POLL_SECONDS)
            if left <= 0:
                return False
            if self._consumer.assignment():
                await self._read(left)
            elif not await self._find():
                await asyncio.sleep(left)  # until the first worker has made the topic
        return True

    def missing(self, covers: Covers) -> list[int]:
        """Return the partitions that report no version that is covered."""
        return [each for each in self.partitions if not covers(self.version(each))]

    def version(self, partition: int) -> Version | None:
        """Return the version that a partition's owner has reported last; None if it is none."""
        reported = self.latest.get(partition)
        return Version.of(reported.policy_version) if reported else None

    async def _find(self) -> bool:
        """Read the latest heartbeats, if there is a topic; one must not be made by asking for it.

        Return whether there is one.
        """
        if self.topic not in await self._consumer.topics():
            return False
        there = {TopicPartition(self.topic, each) for each in self.partitions}
        found = {tp: end.stable for tp, end in (await ends(self._consumer, there)).items()}
        self._consumer.assign(list(found))
        for tp, end in found.items():
            self._consumer.seek(tp, max(0, end - _TAIL))
        deadline = monotonic() + _POLL_SECONDS
        while (left := deadline - monotonic()) > 0:
            if not [tp for tp, end in found.items() if await self._consumer.position(tp) < end]:
                break
            await self._read(left)
        return True

    async def _read(self, seconds: float) -> None:
        fetched = await self._consumer.getmany(timeout_ms=max(1, int(seconds * 1_000)))
        for tp, records in fetched.items():
            for record in records:
                if reported := _reported(record):
                    self.latest[tp.partition] = reported


def _reported(record: ConsumerRecord) -> Reported | None:
    """Return what a heartbeat says; None of a record that is none."""
    try:
        if msgspec.json.decode(record.key or b"", type=int) == record.partition:
            return msgspec.json.decode(record.value or b"", type=Reported)
    except msgspec.MsgspecError:
        pass
    return None
