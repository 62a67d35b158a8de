"""Reads ranges of the decision log, and commits how far sinks have come."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any, Final

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from fraudapp.decisions.fingerprints import Fingerprint
from fraudapp.decisions.log_records import LogRecord, log_records
from fraudapp.kafka.clients import new_consumer
from fraudapp.kafka.offsets import End, OpenTransaction, ends, within_time
from fraudapp.operation import GRACE_SECONDS
from fraudapp.settings import Settings
from models.parsing import Damaged

log = logging.getLogger(__name__)

POLL_MS: Final = 200
"""Milliseconds that one poll waits for records, at most."""
MAX_POLL_RECORDS: Final = 1_000
"""Records that are yielded at once, at most."""


class LogCut(KafkaError):  # type: ignore[misc]
    """The log ends before the range to be read: the broker has lost the end of it."""


class LogDamaged(KafkaError):  # type: ignore[misc]
    """A record does not match its checksum; skipping it could decide its transaction again."""


class LogReader:
    """Reads the decisions topic with a consumer that is assigned partitions by hand.

    Reads and assignments take turns, since they share one consumer. Every method raises
    `KafkaError`.
    """

    def __init__(self, settings: Settings, group: str | None = None, **options: Any) -> None:
        """`group` is the group whose offsets `committed` and `commit` use.

        `options` are those of aiokafka's consumer.
        """
        self._topic = settings.decisions_topic
        self._schema = settings.transaction_schema
        self._partitions = settings.topic_partitions
        self._turn = asyncio.Lock()
        self._positions: dict[int, int] = {}  # offset at which the last read of a partition ended
        self._consumer = new_consumer(
            settings,
            group,
            fetch_max_wait_ms=min(POLL_MS, int(settings.broker_fetch_wait * 1_000)),
            **options,
        )

    async def start(self) -> None:
        """Connect."""
        await self._consumer.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def end(self, partition: int) -> int:
        """Return the high water of a partition: the offset that its next record will get."""
        return (await self.ends([partition]))[partition].high_water

    async def ends(self, partitions: Iterable[int]) -> dict[int, End]:
        """Return where partitions end; they need not be assigned."""
        found = await ends(self._consumer, map(self._tp, partitions))
        return {tp.partition: end for tp, end in found.items()}

    def has_leader(self, partition: int) -> bool:
        """Whether a partition has a leader, by the metadata that the client has now."""
        leader = self._consumer._client.cluster.leader_for_partition(self._tp(partition))
        return leader is not None and leader >= 0

    async def begin(self, partition: int) -> int:
        """Return the offset of the first record that a partition still has."""
        tp = self._tp(partition)
        found = await within_time(self._consumer.beginning_offsets([tp]))
        return int(found[tp])

    async def record_at(self, partition: int, offset: int) -> LogRecord | None:
        """Return the decision at this very offset, before the end; None if there is none.

        Raises what `read` raises.
        """
        found = [
            each async for records in self.read(partition, offset, offset + 1) for each in records
        ]
        return found[0] if found else None

    async def still_has(
        self, partition: int, known: int, fingerprint: Fingerprint | None, end: int
    ) -> bool:
        """Whether a partition that ends at `end` has what was read of it, as far as one can tell.

        That is all before offset `known`, with this fingerprint of the last decision if there is
        one. Raises what `read` raises.
        """
        if fingerprint is None:
            return known <= end
        if fingerprint.offset >= end:
            return False
        found = await self.record_at(partition, fingerprint.offset)
        if found:
            return found.fingerprint == fingerprint
        # Retention may have deleted that record. Then nothing speaks against it.
        return fingerprint.offset < await self.begin(partition)

    async def committed(self, partitions: Sequence[int]) -> dict[int, int | None]:
        """Assign partitions, and return the committed offset of each; None if there is none."""
        async with self._turn:
            assigned = [self._tp(partition) for partition in partitions]
            self._assign(assigned)
            self._consumer.pause(*assigned)
            return {
                tp.partition: await within_time(self._consumer.committed(tp)) for tp in assigned
            }

    async def commit(self, next_offsets: Mapping[int, int]) -> None:
        """Commit the next offset of assigned partitions."""
        offsets = {self._tp(partition): offset for partition, offset in next_offsets.items()}
        await within_time(self._consumer.commit(offsets))

    async def read(self, partition: int, start: int, end: int) -> AsyncIterator[list[LogRecord]]:
        """Yield the decisions from offset `start` up to, not including, `end`, in their order.

        Records that are no decisions are left out, see `log_records`. Other reads wait until this
        one is exhausted or closed.

        Raises `OpenTransaction` if records before `end` cannot be read yet, `LogCut` if they never
        will be. Raises `LogDamaged` for a damaged record, after yielding all records before it.
        """
        tp = self._tp(partition)
        async with self._turn:
            if tp not in self._consumer.assignment():
                self._assign([tp])
            # A seek drops the records that a fetch has brought. They are part of a reference
            # cycle, which holds their memory until the garbage collector runs: so seek seldom.
            if self._positions.pop(partition, None) != start:
                self._consumer.seek(tp, start)
            self._consumer.resume(tp)
            try:
                while (position := await within_time(self._consumer.position(tp))) < end:
                    fetched = await self._consumer.getmany(
                        tp, timeout_ms=POLL_MS, max_records=min(MAX_POLL_RECORDS, end - position)
                    )
                    if not fetched:
                        await self._check_end(tp, end)
                    # A fetch begins elsewhere if the log has lost its records at `start`.
                    raw = _between(fetched.get(tp, []), start, end)
                    sound = list(takewhile(lambda e: type(e.value) is not Damaged, raw))
                    if records := log_records(sound, self._partitions, self._schema):
                        yield records
                    if len(sound) < len(raw):
                        raise LogDamaged(
                            f"{tp.topic}/{tp.partition}/{raw[len(sound)].offset} is "
                            "damaged in the broker's log"
                        )
                self._positions[partition] = position
            finally:
                self._consumer.pause(tp)

    async def _check_end(self, tp: TopicPartition, end: int) -> None:
        # Ask for a short time only: other reads wait for their turn.
        high_water, stable = (await ends(self._consumer, [tp], GRACE_SECONDS))[tp]
        if high_water < end:
            raise LogCut(
                f"{tp.topic}/{tp.partition} ends at {high_water}, where it had records up to {end}"
            )
        if stable < end and await self._consumer.position(tp) >= stable:
            raise OpenTransaction(tp, stable)

    def _assign(self, partitions: list[TopicPartition]) -> None:
        self._positions.clear()
        self._consumer.assign(partitions)

    def _tp(self, partition: int) -> TopicPartition:
        return TopicPartition(self._topic, partition)


def _between(records: Sequence[ConsumerRecord], start: int, end: int) -> Sequence[ConsumerRecord]:
    """Return the records from offset `start` up to, not including, `end`."""
    if not records or (start <= records[0].offset and records[-1].offset < end):
        return records
    return [each for each in records if start <= each.offset < end]
