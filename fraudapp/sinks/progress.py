"""The topic of progress: checkpoints and purges of all sinks, which every worker follows.

The committed offsets of a consumer group expire: after seven quiet days, unless brokers are told
otherwise. A sink would then be filled again from the beginning of the log, with the days that were
purged from it too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from typing import Final

from aiokafka import ConsumerRecord, TopicPartition
from mode import Service

from fraudapp.condition import Condition
from fraudapp.decisions.fingerprints import Fingerprint
from fraudapp.kafka.clients import new_consumer
from fraudapp.kafka.following import next_records
from fraudapp.kafka.foreign_records import report_foreign_record
from fraudapp.kafka.offsets import ends
from fraudapp.kafka.producer import BatchProducer
from fraudapp.operation import Operation, troubles
from fraudapp.settings import Settings
from fraudapp.sinks.progress_records import Purged, Reached, entry_of, hidden_by, written

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MAX_AHEAD: Final = timedelta(days=1)
"""How far a purge may be ahead of the UTC day of its record.

A purge that is further ahead would delete days that are not over, and its record is skipped."""


class Progress(Service):
    """Follows the topic of progress from its beginning, and writes to it.

    The topic is read with records that are not committed: somebody who leaves a transaction open
    there must not hide purges from the workers.
    """

    def __init__(self, settings: Settings, producer: BatchProducer, sinks: Iterable[str]) -> None:
        """`sinks` are the names of the sinks; records about any other are skipped."""
        self._topic = settings.progress_topic
        self._partition = TopicPartition(self._topic, 0)
        self._partitions = settings.topic_partitions
        self._sinks = frozenset(sinks)
        self._producer = producer
        self._reached: dict[tuple[str, int], Fingerprint | None] = {}
        self._purged: dict[str, date] = {}
        self._hidden: set[str] = set()  # sinks whose purge was overwritten in the topic
        self._restoring: asyncio.Future[None] | None = None
        self._position = 0
        self._condition = Condition()
        self._following = Operation(f"following {self._topic}")
        self._consumer = new_consumer(
            settings,
            isolation_level="read_uncommitted",
            fetch_max_wait_ms=int(settings.broker_fetch_wait * 1_000),
        )
        # A broker answers the requests of a connection in turn. On the connection that waits for
        # new records, it would tell the end of the topic only when that wait is over.
        self._end_consumer = new_consumer(settings)
        super().__init__()

    async def on_start(self) -> None:
        """Connect, and begin to follow the topic; raises `KafkaError`."""
        await self._end_consumer.start()
        await self._consumer.start()
        self._consumer.assign([self._partition])

    async def on_stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()
        await self._end_consumer.stop()

    def troubles(self) -> list[str]:
        """Return why the topic cannot be read; an empty list if it can."""
        return troubles([self._following])

    async def current(self) -> None:
        """Wait until every record that is in the topic now has been read; raises `KafkaError`."""
        end = (await ends(self._end_consumer, [self._partition]))[self._partition].high_water
        await self._condition.wait_for(lambda: self._position >= end)

    def reached(self, sink: str, partition: int) -> Fingerprint | None:
        """Return the last decision of a partition of the log that a sink is noted to have."""
        return self._reached.get((sink, partition))

    def purged(self, sink: str) -> date | None:
        """Return the UTC day before which a sink keeps nothing; None if it was never purged."""
        return self._purged.get(sink)

    async def note(self, sink: str, reached: Mapping[int, Fingerprint | None]) -> None:
        """Write checkpoints of a sink, by partition; None where it begins anew."""
        await self._write(
            [Reached(sink, partition, fingerprint) for partition, fingerprint in reached.items()]
        )

    async def mark(self, sink: str, before: date, *, take_back: bool = False) -> None:
        """Note that a sink keeps nothing of the days before one; called before they are deleted.

        A day before the noted one changes nothing, unless `take_back` is set.
        """
        known = self.purged(sink)
        day = before if known is None or take_back else max(known, before)
        if day != known or sink in self._hidden:
            await self._write([Purged(sink, day)])

    async def _write(self, entries: Sequence[Reached | Purged]) -> None:
        new = [written(each) for each in entries]
        await self._producer.append(self._topic, 0, new, f"writing to topic {self._topic}")
        for each in entries:
            self._take(each)

    @Service.task
    async def _follow(self) -> None:
        while not self.should_stop:
            fetched = await next_records(self, self._consumer, self._following)
            if fetched is None:
                continue
            for record in fetched.get(self._partition, ()):
                self._read(record)
            self._position = await self._consumer.position(self._partition)
            self._condition.notify()
            if self._position >= (self._consumer.highwater(self._partition) or 0):
                self._restore_hidden()

    def _restore_hidden(self) -> None:
        """Write purges again whose key somebody else has written to.

        Of several records with one key, compaction keeps the last.
        """
        hidden = [Purged(name, self._purged[name], again=True) for name in self._hidden]
        if hidden and (self._restoring is None or self._restoring.done()):
            self._restoring = self.add_future(self._write(hidden))

    def _read(self, record: ConsumerRecord) -> None:
        try:
            entry = entry_of(record.key, record.value)
            self._check(entry, record.timestamp)
        except (ValueError, OverflowError) as exc:  # its timestamp may be any number
            report_foreign_record(record.topic, record.partition, record.offset, exc)
            if (sink := hidden_by(record.key)) in self._purged:
                self._hidden.add(sink)
        else:
            self._take(entry)

    def _check(self, entry: Reached | Purged, written_at: int) -> None:
        if entry.sink not in self._sinks:
            raise ValueError(f"there is no sink {entry.sink}")
        if isinstance(entry, Reached):
            if entry.partition >= self._partitions:
                raise ValueError(f"there is no partition {entry.partition}")
        else:
            # By the timestamp of the record, not by this worker's clock, which may be wrong.
            day = (_EPOCH + timedelta(milliseconds=written_at)).date()
            if entry.before > day + _MAX_AHEAD:
                raise ValueError(f"{entry.before} was in the future on {day}")

    def _take(self, entry: Reached | Purged) -> None:
        if isinstance(entry, Purged):
            known = self._purged.get(entry.sink)
            if entry.again and known and entry.before < known:
                self._hidden.add(entry.sink)  # by a worker that had not read the last purge
                return
            self._purged[entry.sink] = entry.before
            self._hidden.discard(entry.sink)
        else:
            self._reached[entry.sink, entry.partition] = entry.fingerprint
