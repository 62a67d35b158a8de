"""Remembers accounts on this worker: decisions read their profiles, and profiles follow the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from time import monotonic, time
from typing import Final

from aiokafka.errors import KafkaError
from mode import Service

from fraudapp.condition import Condition
from fraudapp.decisions.catch_ups import Read
from fraudapp.decisions.log_identity import LogIdentity
from fraudapp.kafka.following import POLL_MS
from fraudapp.kafka.last_records import LastRecord, next_offsets
from fraudapp.kafka.topic_ids import wait_for_topic_ids
from fraudapp.labels.database import DATABASE_FAILED, DatabaseDamaged, write_when_possible
from fraudapp.labels.ending import end
from fraudapp.labels.follower import ALL_PARTITIONS, LabelledFollower
from fraudapp.labels.records import LabelledRecord
from fraudapp.operation import Operation, troubles
from fraudapp.process.disk import DiskFull
from fraudapp.profiles import metrics
from fraudapp.profiles.folding import Folded
from fraudapp.profiles.log_follower import Indexes, LogCut, LogFollower
from fraudapp.profiles.restoring import Restoring
from fraudapp.profiles.snapshot_writer import SnapshotWriter
from fraudapp.profiles.snapshots import Snapshots
from fraudapp.profiles.store import ProfileStore
from fraudapp.retry import retry_forever
from fraudapp.settings import Settings
from fraudapp.sinks.archive.archive import Archive
from models.deciding import Profiled
from models.profiles.events import Events
from models.records import Transaction

log = logging.getLogger(__name__)

WRITE_INTERVAL: Final = 1.0
"""Seconds after which what has changed is written to disk, at most."""
FIRST_CATCH_UP: Final = 60.0
"""Seconds for which the first decisions wait until the profiles have caught up with the log."""
_FILES: Final = 200


class Profiles(Service):
    """The profiles of all accounts, for a schema that declares values of some.

    Between two awaits of the pipeline, nothing here changes.
    """

    def __init__(
        self,
        settings: Settings,
        indexes: Indexes,
        archive: Archive | None,
    ) -> None:
        """Snapshots are in the archive; there are none without it."""
        schema = settings.transaction_schema
        if schema.remembering is None:
            raise ValueError(f"schema {schema.name} declares no values of profiles")
        self._settings = settings
        self._remembering = schema.remembering
        self._version = schema.profile_version
        self._log = LogFollower(settings, indexes)
        self._labels = LabelledFollower(settings, "for profiles", self._labels_of)
        self._opening = Operation("opening the profiles")
        self._following = Operation(f"following {settings.decisions_topic} for profiles")
        self._snapshots = None
        if archive is not None and settings.profile_snapshot_hours:
            self._snapshots = Snapshots(archive, settings.app_id, self._version)
        self._restoring = self._snapshots and Restoring(
            settings, self._snapshots, self._log.consumer
        )
        self.snapshot_writer: SnapshotWriter | None = None
        """None without snapshots, and before the profiles are open."""
        self._failure: Exception | None = None
        self._folded: Folded | None = None
        self._running: asyncio.Future[None] | None = None
        self._changed = Condition()
        self._began = self._written_at = self._turned_at = monotonic()
        self._is_late = False
        self._has_been_ready = False
        self._own: Collection[int] = ()
        self._is_doubted = False  # whether the log may be another one than is folded
        metrics.lag.set_function(self.lag)
        metrics.allowed_lag.set(settings.profile_lag)
        super().__init__()

    async def on_start(self) -> None:
        """Open the profiles, and begin to follow; raises `KafkaError` or what opening does."""
        await self._log.consumer.start()
        settings = self._settings
        topics = [settings.decisions_topic, settings.labelled_topic]
        ids = await wait_for_topic_ids(self._log.consumer._client, topics)
        made_of = [
            LogIdentity(settings.app_id, topic, ALL_PARTITIONS, topic_id=ids[topic])
            for topic in topics
        ]
        async for attempt in retry_forever(self._opening, on=DiskFull):
            with attempt:
                folder = settings.data_dir / "profiles"
                store = ProfileStore(folder, self._version, made_of, files=_FILES)
        delay = settings.profile_label_delay
        self._folded = Folded(self._remembering, store, label_delay=delay)
        self._running = self.add_future(self._run(self._folded))
        metrics.kept.set_function(lambda: store.kept)
        metrics.disk_bytes.set_function(lambda: store.disk_bytes)
        if self._remembering.uses_labels:
            await self.add_runtime_dependency(self._labels)
        if self._snapshots is not None:
            interval = timedelta(hours=settings.profile_snapshot_hours)
            self.snapshot_writer = SnapshotWriter(
                self._snapshots,
                self._folded,
                interval,
                settings.profile_snapshot_decisions,
                self._writes_snapshots,
            )
            await self.add_runtime_dependency(self.snapshot_writer)

    def _writes_snapshots(self) -> bool:
        """One worker writes them for all: the owner of the first partition."""
        return 0 in self._own and self.is_ready and not self._is_late

    async def on_stop(self) -> None:
        """Write what has changed, and close."""
        if self._running:
            await end([self._running])
        if self._folded:
            try:
                self._folded.write()
            except DATABASE_FAILED as exc:
                log.warning("%s", exc)  # it is read from the log again
            self._folded.close()
        await self._log.consumer.stop()

    def troubles(self) -> list[str]:
        """Return why profiles cannot follow; an empty list if they can."""
        return [*troubles([self._opening, self._following]), *self._labels.troubles()]

    @property
    def is_ready(self) -> bool:
        """Whether the profiles were once at the end of the log, and of what is labelled."""
        return self._has_been_ready

    def unread(self) -> str:
        """Return what is left to read, about, for people to see."""
        if self._restoring and self._restoring.is_loading:
            return "a snapshot of them is being loaded from the archive"
        if self._folded is None:
            return "they are not open yet"
        labels = (self._labels.lag() or 0) if self._labels.store else 0
        left = f"{self._log.left(self._folded):,} decisions"
        return f"{left} and {labels:,} labels left" if labels else f"{left} left"

    def lag(self) -> float:
        """Return for how many seconds the profiles have been behind the log.

        While nothing is read, such as on a full disk, nobody knows how far the log has grown.
        """
        if not self._log.has_caught_up:
            return monotonic() - self._began
        stalled = monotonic() - self._turned_at - POLL_MS / 1_000
        return max(self._log.lag(), stalled, 0.0)

    def on_assigned(self, partitions: Collection[int]) -> None:
        """Note which partitions are this worker's now; called after each assignment."""
        self._own = partitions
        if self._folded:
            self._folded.land()
            self._log.own(partitions, self._folded)
        self._labels.check_soon()
        self._doubt()

    def are_current(self, next_offsets: Mapping[int, int]) -> bool:
        """Whether the profiles have all decisions before these offsets of the log.

        After a start, they have to have caught up with all partitions once.
        """
        folded = self._folded
        if folded is None or self._is_doubted or not (self._has_been_ready or self._is_late):
            return False
        return all(
            folded.decisions.get(partition, 0) >= offset
            for partition, offset in next_offsets.items()
        )

    async def wait_for(self, next_offsets: Mapping[int, int]) -> bool:
        """Return once `are_current`, or after a while: decisions do not wait for ever.

        The first ones wait longer. Once some have not waited long enough, no others wait until the
        profiles have caught up. Returns whether it has waited.
        """
        if self._is_late or self.are_current(next_offsets):
            return False
        for partition in next_offsets:
            self._follow_again(partition)
        left = self._settings.profile_lag
        if not self._has_been_ready:
            left = max(left, self._began + FIRST_CATCH_UP - monotonic())
        try:
            await asyncio.wait_for(
                self._changed.wait_for(lambda: self.are_current(next_offsets)), left
            )
        except asyncio.TimeoutError:
            self._is_late = True
            log.warning(
                "profiles are behind: decisions go on with what is known, and say profile_lag"
            )
        return True

    def read(
        self, transactions: Sequence[Transaction], now: datetime
    ) -> tuple[Profiled, Events | None]:
        """Return what is known of accounts, and what is in flight from now on."""
        lag = self.lag()
        lag = round(lag, 3) if self._is_late or lag > self._settings.profile_lag else 0.0
        if lag:
            metrics.late.inc(len(transactions))
        if self._folded is None:
            return _nothing(transactions, lag), None
        try:
            found, events = self._folded.read(transactions, int(now.timestamp()))
        except DATABASE_FAILED as exc:
            self._repair(exc)
            return _nothing(transactions, lag or round(self._settings.profile_lag, 3)), None
        if not lag and (overdue := self._folded.due.overdue(now.timestamp())):
            lag = round(overdue, 3)
        return Profiled(found.known, lag), events

    def settle(self, partition: int, start: int, events: Events, last: bytes) -> None:
        """Take in decisions that are in the log from `start` on; `last` is the last one's JSON."""
        if self._folded is None:
            return
        try:
            if self._is_doubted:
                self._folded.release(events)
                self._follow_again(partition)
            elif not self._folded.settle(partition, start, events, last):
                self._follow_again(partition)
        except DATABASE_FAILED as exc:
            self._repair(exc)
            return
        try:
            if self._folded.is_large:
                self._folded.write()
        except DiskFull:
            pass  # it is written again by the next turn
        except DATABASE_FAILED as exc:
            self._repair(exc)

    def release(self, partition: int, events: Events) -> None:
        """Let decisions be in flight no longer; what of them is in the log is read from there."""
        if self._folded is not None:
            self._folded.release(events)
            self._follow_again(partition)
            self._doubt()

    def take_read(self, read: Read) -> None:
        """Take in what was read for the index of a partition, if profiles wait for it."""
        if self._folded is None or self._failure is not None:
            return
        try:
            self._log.take_read(self._folded, read)
        except DATABASE_FAILED as exc:
            self._repair(exc)

    def _follow_again(self, partition: int) -> None:
        if self._folded is not None and not self._log.is_followed(partition):
            self._log.follow(partition, self._folded)

    def _doubt(self) -> None:
        """Let nothing be settled until the log is known to be the one that is folded.

        Others may have decided meanwhile, in a log that was cut before. The offset at which this
        worker goes on may be the same by chance.
        """
        if self._folded is not None:
            self._is_doubted = True
            self.add_future(self._check(self._folded))

    async def _check(self, folded: Folded) -> None:
        try:
            await self._log.check(folded)
        except KafkaError as exc:
            self._failure = exc
        else:
            self._is_doubted = False
            self._changed.notify()

    def _repair(self, exc: Exception) -> None:
        """Begin anew with the next turn."""
        self._failure = exc

    async def _run(self, folded: Folded) -> None:
        async for attempt in retry_forever(self._following, on=(KafkaError, *DATABASE_FAILED)):
            with attempt:
                await self._follow(folded)

    async def _follow(self, folded: Folded) -> None:
        self._failure = None
        try:
            if self._restoring and folded.store.state.is_empty:
                life = folded.life
                await self._restoring.restore(folded)
                if folded.life != life:
                    self._labels.begin_again()
            await self._log.begin(folded)
            self._is_doubted = False
            while self._failure is None:
                await self._turn(folded)
            raise self._failure
        except (DatabaseDamaged, LogCut) as exc:
            log.warning("%s: profiles are made anew from the log", exc)
            folded.clear()
            self._labels.begin_again()
            raise
        except DiskFull as exc:
            if not exc.heals:
                folded.reopen()
                self._labels.begin_again()
            raise

    async def _turn(self, folded: Folded) -> None:
        if self._log.check_is_due:
            await self._log.check(folded)
        waits = 0 if folded.due.is_due(time()) else POLL_MS
        fetched = await self._log.consumer.getmany(timeout_ms=waits)
        began = monotonic()
        for tp, raw in fetched.items():
            self._log.take(folded, tp.partition, raw)
        folded.apply_due(time())
        await self._log.rest(folded)
        self._turned_at = monotonic()
        if self._log.has_caught_up and not self._log.lag():
            self._is_late = False
        self._has_been_ready = self._has_been_ready or self._has_caught_up(folded)
        self._changed.notify()
        if folded.is_large or began - self._written_at >= WRITE_INTERVAL:
            await write_when_possible(folded.write)
            self._written_at = began
        folded.sweep(time(), began)
        self._following.succeeded()
        # While much is read, decisions are to have half of the time at least, unless they wait.
        is_awaited = not self._log.has_caught_up and not self._is_late
        is_busy = (fetched or not waits) and not is_awaited
        await asyncio.sleep(monotonic() - began if is_busy else 0)

    def _has_caught_up(self, folded: Folded) -> bool:
        if not self._log.has_caught_up:
            return False
        if not self._remembering.uses_labels:
            return True
        if self._labels.store is None:  # it is not connected yet
            return False
        return self._labels.lag() == 0 and not folded.due.is_due(time())

    def _labels_of(self, identity: LogIdentity) -> _Labels:
        if self._folded is None:
            raise ValueError("the profiles are not open")
        return _Labels(self._folded, self._repair)


def _nothing(transactions: Sequence[Transaction], lag: float) -> Profiled:
    return Profiled([{} for _ in transactions], lag)


class _Labels:
    """What follows the labelled topic sees of the profiles."""

    def __init__(self, folded: Folded, repair: Callable[[Exception], None]) -> None:
        self._folded = folded
        self._repair = repair
        self._life = folded.life

    def next_offset(self, partition: int) -> int:
        self._life = self._folded.life
        return self._folded.next_labelled(partition)

    def last(self) -> Mapping[int, LastRecord]:
        return self._folded.last_labelled

    def apply(self, records: Sequence[LabelledRecord], last: Mapping[int, LastRecord]) -> None:
        # Else they follow others that the profiles have lost: they are read again.
        if self._life == self._folded.life:
            self._folded.add_labels(records, next_offsets(last))
            self._folded.last_labelled |= last

    def has_room(self) -> bool:
        return self._folded.due.has_room

    def flush(self) -> None:
        """The profiles are written together with the offsets of the log."""

    def clear(self) -> None:
        self._repair(DatabaseDamaged(self._folded.store.folder, "labels have to be read again"))

    def close(self) -> None:
        """The profiles close themselves."""
