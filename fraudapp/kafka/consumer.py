"""Faust's Kafka consumer, made safe: it delivers record batches and tracks those in flight.

The stock consumer of Faust 0.15.3 loses messages after a kill while an event is being processed:

- It looks for gaps among acknowledged offsets with a comparison that is off by one, and does not
  look at all while the committed offset is 0.
- It counts offsets as acknowledged that nobody processed.
- After a rebalance it drops messages that it takes for read: those fetched before the seek to the
  committed offsets.

This consumer commits up to the first record batch in flight, of those delivered since the last
seek. It never commits what Faust alone has acknowledged.

The module uses private names of Faust. Its version is pinned, and a test fails when they change.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final, cast

from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError
from faust.tables.manager import TableManager
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka
from faust.types import TP, AppT, Message
from mode import Service
from mode.utils.futures import notify

from fraudapp.kafka.client_in_loop import ClientInLoop, ClientTransport
from fraudapp.kafka.lost_records import LostRecords
from fraudapp.kafka.record_batch import RecordBatch, record_batch_of, record_batches
from fraudapp.kafka.topic_ids import TopicRemade
from fraudapp.operation import Operation, troubles

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = 1.0
"""Seconds between two attempts to fetch, or to join the consumer group."""

Fetched = Mapping[TP, Sequence[ConsumerRecord]]


class SafeConsumer(aiokafka.Consumer):
    """Delivers record batches, and commits up to the first one that is not acknowledged.

    After a seek the broker delivers everything from there on again, in order. So acknowledging a
    record batch that was delivered before the seek has no effect.
    """

    def on_init(self) -> None:
        """Begin with nothing in flight; Faust calls this from its constructor."""
        super().on_init()
        # Record batches delivered and not acknowledged, by their start offset.
        self._in_flight: defaultdict[TP, dict[int, Message]] = defaultdict(dict)
        self._acknowledged_end: dict[TP, int] = {}  # highest end of an acknowledged record batch
        self._seeks = 0  # changes with each seek
        self._seeks_running = 0
        self._dropped_at: int | None = None  # `_seeks` when a record batch was last dropped
        self.lost = LostRecords()
        self._delivered_end: dict[TP, int] = {}  # offset after the last record, since the last seek
        self._ending = False
        self._read_offset = _ReadOffsets(self.app)
        # One topic that fails does not keep the others from being fetched: a success soon after a
        # failure does not end the trouble.
        self._fetching = Operation("fetching what is assigned", settle_seconds=5 * RETRY_SECONDS)
        self._seeking = Operation("going back to the committed offsets")
        self.committing = Operation("committing offsets")
        self._joining = Operation("being in the consumer group", settle_seconds=5 * RETRY_SECONDS)
        self.is_full: Callable[[TP], bool] = lambda tp: False
        """Whether the agent has no room for a partition; when it has again, see `wake_getmany`."""

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        """Fetch, and yield record batches of acknowledged topics, single records of others.

        Called by Faust's fetcher in a loop; waits up to `timeout` seconds for records.
        """
        if self.flow_active and self._dropped_at == self._seeks and not await self._seek_back():
            return
        if self.app.in_recovery:
            self._skip_markers()
        if self._ending:  # nothing more may be delivered
            await self.sleep(timeout)
            return
        seeks = self._seeks
        fetched, active = await self._fetch(timeout)
        if fetched is None or self.should_stop:
            return
        if not self.flow_active:
            await self._seek_back()
            return
        # Otherwise a seek has come in between, and the records may be from before it.
        since_last_seek = self._seeks == seeks and not self._seeks_running
        if since_last_seek and (truncated := self._truncated(fetched)):
            await self._end_at_truncation(*truncated)
            return
        acknowledged = {tp for tp in fetched if self.app.topics.acks_enabled_for(tp.topic)}
        self.lost.report({tp: fetched[tp] for tp in acknowledged})
        self._delivered_end.update(
            (tp, records[-1].offset + 1)
            for tp, records in fetched.items()
            if since_last_seek or tp not in acknowledged
        )
        pieces = {
            tp: list(record_batches(records)) if tp in acknowledged else records
            for tp, records in fetched.items()
        }
        async for delivered in self._deliver(pieces, active, seeks):
            yield delivered

    async def _fetch(self, timeout: float) -> tuple[Fetched | None, set[TP] | None]:
        """Return the fetched records and the active partitions; None for those if it failed."""
        self._fetching.began()
        try:
            fetched, active = await self._wait_next_records(timeout)
        except KafkaError as exc:  # it would end the worker, and a new one could not fetch either
            self._fetching.failed(exc)
            await self.sleep(RETRY_SECONDS)
            return None, None
        self._fetching.succeeded()
        return fetched, active

    async def _deliver(
        self, pieces: Mapping[TP, Sequence[Any]], active: set[TP] | None, seeks: int
    ) -> AsyncIterator[tuple[TP, Message]]:
        """Yield a message for each record batch or record; drop what may not be delivered now.

        `seeks` is the number of seeks before the fetch. What is dropped is fetched again: a seek
        back follows.
        """
        generation = self.app.consumer_generation_id
        for tp, piece in self.scheduler.iterate(cast(Any, pieces)):
            if not self.flow_active or self.app.consumer_generation_id != generation:
                self._dropped_at = self._seeks
                return
            if active is not None and tp not in active:
                self._dropped_at = self._seeks
                continue
            self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
            if not isinstance(piece, RecordBatch):
                yield tp, self._to_message(tp, piece)
                continue
            if self._seeks != seeks:
                # Whether it was fetched before or after that seek is not known. Another seek makes
                # sure that all of it is delivered again.
                await self._seek_back()
                return
            message = self._to_message(tp, piece.records[-1])
            message.value = cast(Any, piece)
            self._in_flight[tp][piece.start] = message
            yield tp, message

    def wake_getmany(self) -> None:
        """Deliver, without another fetch, the fetched records of partitions no longer full."""
        cast(ClientInLoop, self._thread).wake_getmany()

    @property
    def generation(self) -> int:
        """Generation of the consumer group; a rebalance assigns partitions in a new one."""
        return int(self.app.consumer_generation_id)

    def troubles(self) -> list[str]:
        """Return a sentence, with the reason, for each of these operations that fails."""
        return troubles([self._fetching, self._seeking, self._joining])

    @Service.timer(RETRY_SECONDS)
    async def _rejoin(self) -> None:
        """Clear an error of the group coordinator, so that the client joins again.

        The client stops after an error such as a refused authorization until somebody takes the
        error from it. Faust never does.
        """
        client: Any = self._thread and cast(ClientInLoop, self._thread)._consumer
        if client is None:
            return
        self._joining.began()
        try:
            client._coordinator.check_errors()
        except KafkaError as exc:
            self._joining.failed(exc)
        else:
            self._joining.succeeded()

    def acknowledge(self, message: Message) -> None:
        """Declare a record batch processed; it is committed once all before it are acknowledged.

        Does not block. Has no effect on the commit if the batch was delivered before the last seek.
        """
        batch = record_batch_of(message)
        in_flight = self._in_flight[message.tp]
        if in_flight.get(batch.start) is message:
            del in_flight[batch.start]
            end = self._acknowledged_end
            end[message.tp] = max(end.get(message.tp, 0), batch.end)
            # Faust asks for an offset to commit only for partitions in `_acked`, and counts
            # `_n_acked` to know when.
            self._acked[message.tp].append(batch.end - 1)
            self._n_acked += batch.count
        self.release(message)

    def release(self, message: Message) -> None:
        """Give up a record batch unprocessed, so that no rebalance or stop waits for it.

        It is not committed, and is delivered again, to the next owner or after a seek. Does not
        block.
        """
        if self._in_flight[message.tp].get(record_batch_of(message).start) is message:
            self._dropped_at = self._seeks
        self._unacked_messages.discard(message)
        notify(self._waiting_for_ack)

    def ack(self, message: Message) -> bool:
        """See `faust.transport.consumer.Consumer.ack`.

        Faust calls this for messages that it skips in a rebalance. Nobody has processed those, so
        here they are released and not acknowledged.
        """
        if self.app.topics.acks_enabled_for(message.topic):
            message.acked = True
            self.release(message)
            return True
        return super().ack(message)

    def on_buffer_full(self, tp: TP) -> None:
        """Do nothing: the bounded queue blocks the fetcher by itself when it is full.

        The stock consumer pauses the partition, and sleeps for a second once all are paused.
        """

    def close(self) -> None:
        """Do nothing, since the last commits still need the connection.

        Faust calls this when a rebalance comes while the worker stops. Commits that wait for an
        answer would then wait for ever.
        """

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek to the committed offsets, and to the beginning where nothing is committed yet.

        The stock consumer leaves the position of such partitions as it is. Records that it had
        fetched and dropped in a rebalance would then be read by nobody.
        """
        committed: Mapping[TP, int] = await super().seek_to_committed()
        uncommitted = [
            tp
            for tp in map(ensure_TP, committed)
            if not committed[tp] and self.app.topics.acks_enabled_for(tp.topic)
        ]
        if uncommitted:
            try:
                earliest = await self.earliest_offsets(*uncommitted)
            except KafkaError:  # one of them has no leader, and must not hold up the others
                cast(ClientInLoop, self._thread).reset_to_beginning(uncommitted)
            else:
                self.lost.report_unknown_past(earliest)
                await self.seek_wait(earliest)
        return committed

    async def perform_seek(self) -> None:
        """Seek to the committed offsets, and forget all record batches in flight.

        Records may be fetched while the seek goes on, so they are forgotten before and after it.
        What the client finds missing meanwhile is not: it may have been sought to already, and
        nobody would ask for it again.
        """
        self._seeks_running += 1
        self._forget()
        self.lost.missing.clear()
        try:
            await super().perform_seek()
        finally:
            self._seeks_running -= 1
        self._forget()

    async def _seek_back(self) -> bool:
        """Seek to the committed offsets; return False if that fails, to be tried again."""
        self._seeking.began()
        try:
            await self.perform_seek()
        except Exception as exc:  # whatever it is, going on would leave out what was dropped
            self._dropped_at = self._seeks
            self._seeking.failed(exc)
            await self.sleep(RETRY_SECONDS)
            return False
        self._seeking.succeeded()
        return True

    def _skip_markers(self) -> None:
        """End Faust's recovery of a changelog at its last record, where no more is delivered.

        The last offsets may be transaction markers, or belong to an aborted transaction. They are
        delivered to nobody, and Faust would wait for them for ever. The records of one fetch are
        counted in `_delivered_end` before the next fetch, so nothing delivered is skipped.
        """
        recovery = cast(TableManager, self.app.tables).recovery
        highwaters, offsets = recovery.active_highwaters, recovery.active_offsets
        for tp in self.assignment() & highwaters.keys():
            position, _ = cast(ClientInLoop, self._thread).position_and_high_water(tp)
            if offsets[tp] < highwaters[tp] < (position or 0):
                highwaters[tp] = max(offsets[tp], self._delivered_end.get(tp, 0) - 1)

    def _truncated(self, fetched: Fetched) -> tuple[TP, int] | None:
        """Return a partition whose offsets went back without a seek, and its first offset fetched.

        The broker has then lost the end of the partition.
        """
        for tp, records in fetched.items():
            start = records[0].offset
            delivered_end = self._delivered_end.get(tp, 0)
            if self.app.topics.acks_enabled_for(tp.topic) and start < delivered_end:
                return tp, start
        return None

    async def _end_at_truncation(self, tp: TP, start: int) -> None:
        """Commit `start` for a partition that has lost its end, and end this worker.

        The offset committed before lies in the lost part, or among new records that have taken its
        offsets. The next owner has to read them from `start` on.
        """
        self._ending = True
        reached = self._delivered_end[tp]
        self._forget()
        await cast(ClientInLoop, self._thread).commit({tp: start})
        cast(ClientTransport, self.transport).end(
            TopicRemade(
                f"{tp.topic}/{tp.partition} had been read up to {reached}, and goes on at {start}: "
                "the broker has lost the end of it; started again, this worker reads what is there"
            )
        )

    def outstanding(self, tp: TP) -> int | None:
        """Return the offset after the last record of an assigned partition; None if not known yet.

        Records of open transactions count. Transaction markers take offsets as well, but are
        delivered to nobody. So once the position is at the high water, the last record delivered is
        the last one of the partition.
        """
        position, high_water = cast(ClientInLoop, self._thread).position_and_high_water(tp)
        if high_water is None or (position is not None and position < high_water):
            return high_water
        return self._delivered_end.get(tp, 0)

    def _forget(self) -> None:
        self._seeks += 1
        self._delivered_end.clear()
        self._in_flight.clear()
        self._acknowledged_end.clear()
        self._acked.clear()
        self._acked_index.clear()

    def _new_offset(self, tp: TP) -> int | None:
        # Faust's own lists only make it ask; the offset to commit comes from the batches in flight.
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        end = self._acknowledged_end.get(tp)
        # Record batches are delivered in the order of their offsets: the first entry is the lowest.
        return end if end is None else min(end, next(iter(self._in_flight[tp]), end))

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Do nothing: offsets that are never delivered (compaction, transactions) need no entry."""

    def _new_consumer_thread(self) -> aiokafka.AIOKafkaConsumerThread:
        return ClientInLoop(self, loop=self.loop, thread_loop=self.loop, beacon=self.beacon)


class _ReadOffsets(defaultdict[TP, "int | None"]):
    """Offsets read last, below which Faust drops messages; None where they need acknowledgement."""

    def __init__(self, app: AppT) -> None:
        self._app = app
        super().__init__(lambda: None)

    def __getitem__(self, tp: TP) -> int | None:
        return None if self._app.topics.acks_enabled_for(tp.topic) else super().__getitem__(tp)
