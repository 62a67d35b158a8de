"""The topic of progress: what is known of the sinks, by every worker, for as long as it holds.

The offsets of a consumer group expire: after seven quiet days, unless brokers are told otherwise. A
sink would then be filled again from the beginning of the log, with what was purged from it too.
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
from fraudapp.kafka.foreign_records import passed_over
from fraudapp.kafka.offsets import ends
from fraudapp.kafka.producer import BatchProducer
from fraudapp.operation import Operation, troubles
from fraudapp.settings import Settings
from fraudapp.sinks.progress_records import Purged, Reached, entry_of, hidden_by, written

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_ZONES: Final = timedelta(days=1)
"""How far the day may be ahead of the record's: a purge of days that are not over is none."""


class Progress(Service):
    """Follows the topic from its beginning, and writes to it.

    It is read with what others have not committed: whoever leaves a transaction open there must not
    hide what was purged.
    """

    def __init__(self, settings: Settings, producer: BatchProducer, sinks: Iterable[str]) -> None:
        """`sinks` are the names of those that records may be about."""
        self._topic = settings.progress_topic
        self._partition = TopicPartition(self._topic, 0)
        self._partitions = settings.topic_partitions
        self._stores = frozenset(sinks)
        self._producer = producer
        self._reached: dict[tuple[str, int], Fingerprint | None] = {}
        self._purged: dict[str, date] = {}
        self._hidden: set[str] = set()  # sinks of whose purges the topic tells something else
        self._saying: asyncio.Future[None] | None = None
        self._position = 0
        self._condition = Condition()
        self._following = Operation(f"following {self._topic}")
        self._consumer = new_consumer(
            settings,
            isolation_level="read_uncommitted",
            fetch_max_wait_ms=int(settings.broker_fetch_wait * 1_000),
        )
        # A broker answers a connection in turns: asked on the one that waits for new records, it
        # would tell the end only when that wait is over.
        self._asking = new_consumer(settings)
        super().__init__()

    async def on_start(self) -> None:
        """Connect; raises `KafkaError`."""
        await self._asking.start()
        await self._consumer.start()
        self._consumer.assign([self._partition])

    async def on_stop(self) -> None:
        """Leave the topic."""
        await self._consumer.stop()
        await self._asking.stop()

    def troubles(self) -> list[str]:
        """What cannot be read, and why."""
        return troubles([self._following])

    async def current(self) -> None:
        """Return once all is known that is in the topic now; raises `KafkaError`."""
        end = (await ends(self._asking, [self._partition]))[self._partition].high_water
        await self._condition.wait_for(lambda: self._position >= end)

    def reached(self, sink: str, number: int) -> Fingerprint | None:
        """Return the last decision of a partition that a sink is known to have."""
        return self._reached.get((sink, number))

    def purged(self, sink: str) -> date | None:
        """Return the day before whose beginning nothing is to be kept in a sink."""
        return self._purged.get(sink)

    async def note(self, sink: str, reached: Mapping[int, Fingerprint | None]) -> None:
        """Note how far a sink has come, by partition; None where it begins anew."""
        await self._write(
            [Reached(sink, number, fingerprint) for number, fingerprint in reached.items()]
        )

    async def mark(self, sink: str, before: date, *, take_back: bool = False) -> None:
        """Note that a sink keeps nothing of the days before one; to be called before they go.

        An earlier day than was noted before changes nothing, unless that is to be taken back.
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
                self._say_again()

    def _say_again(self) -> None:
        """Write what was purged once more, where somebody else has written under its key.

        Of several records with one key the cleaner keeps the last.
        """
        hidden = [Purged(name, self._purged[name], again=True) for name in self._hidden]
        if hidden and (self._saying is None or self._saying.done()):
            self._saying = self.add_future(self._write(hidden))

    def _read(self, record: ConsumerRecord) -> None:
        try:
            entry = entry_of(record.key, record.value)
            self._check(entry, record.timestamp)
        except (ValueError, OverflowError) as exc:  # its time fingerprint may be any number
            passed_over(record.topic, record.partition, record.offset, exc)
            if (sink := hidden_by(record.key)) in self._purged:
                self._hidden.add(sink)
        else:
            self._take(entry)

    def _check(self, entry: Reached | Purged, written_at: int) -> None:
        if entry.sink not in self._stores:
            raise ValueError(f"there is no sink {entry.sink}")
        if isinstance(entry, Reached):
            if entry.partition >= self._partitions:
                raise ValueError(f"there is no partition {entry.partition}")
        else:
            # By the broker's clock, not by this worker's, which may be wrong.
            day = (_EPOCH + timedelta(milliseconds=written_at)).date()
            if entry.before > day + _ZONES:
                raise ValueError(f"{entry.before} was in the future on {day}")

    def _take(self, entry: Reached | Purged) -> None:
        if isinstance(entry, Purged):
            known = self._purged.get(entry.sink)
            if entry.again and known and entry.before < known:
                self._hidden.add(entry.sink)  # by one who had not heard of the last purge
                return
            self._purged[entry.sink] = entry.before
            self._hidden.discard(entry.sink)
        else:
            self._reached[entry.sink, entry.partition] = entry.fingerprint
