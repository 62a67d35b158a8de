"""Runs the Kafka client in the worker's own event loop; Faust runs it in a thread of its own.

The module uses private names of Faust and aiokafka. Their versions are pinned, and a test fails
when these names change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping
from time import monotonic
from typing import Any, Final, Protocol, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import OffsetResetStrategy
from aiokafka.errors import CommitFailedError, KafkaError
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka
from faust.types import TP
from mode import Service
from mode.utils.futures import maybe_async

from fraudapp.kafka import wire_format
from fraudapp.kafka.fetch_by_id import FetchById
from fraudapp.kafka.fetch_throttle import FetchThrottle, throttled
from fraudapp.kafka.lost_records import LostRecords
from fraudapp.kafka.offsets import ends
from fraudapp.kafka.topic_ids import committed, to_commit
from fraudapp.operation import Operation
from fraudapp.retry import retry_forever

LEAVE_GROUP_TIMEOUT: Final = 2.0
"""Seconds to leave the consumer group; after that the broker has to time the session out."""


class OwningConsumer(Protocol):
    """The part of `SafeConsumer` that its client uses."""

    lost: LostRecords
    """The client adds to what is missing of it."""
    is_full: Callable[[TP], bool]
    """Whether the agent has no room for a partition, whose records then stay in the client."""
    committing: Operation
    """Notes whether each offset commit succeeded, for the log and `/readyz`."""


class ClientTransport(aiokafka.Transport):
    """Fetch settings of the client, and the topic ids that it fetches and commits by."""

    fetch_wait_ms = 500
    """Milliseconds that the broker holds back a fetch that has no records (`fetch.max.wait.ms`)."""
    max_fetch_delay = 0.01
    """Seconds by which the fetch throttle of a saturated worker delays each fetch, at most."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.topic_ids: Mapping[str, str] = {}
        """Ids by name of the topics that must not be replaced by others; see `FetchById`."""
        self.end: Callable[[Exception], None]
        """Ends the worker, once nothing more can be read; set before the worker starts to read."""


class _WithRoom(Container[TP]):
    """The active partitions that are not full; evaluated anew at each look-up.

    Fetched records of a full partition stay in the client, which then fetches no more of it.
    """

    def __init__(self, active: Container[TP], is_full: Callable[[TP], bool]) -> None:
        self._active = active
        self._is_full = is_full

    def __contains__(self, tp: object) -> bool:
        return tp in self._active and not self._is_full(cast(TP, tp))


class ClientInLoop(aiokafka.AIOKafkaConsumerThread):
    """The Kafka client of a consumer, run in the worker's own event loop.

    Faust runs it in a thread with an event loop of its own. There, each poll of a socket releases
    the interpreter lock and waits until the main thread gives it back, several times a fetch. That
    took most of the time from produce to decision. Moreover, a worker whose loop hangs must not go
    on sending heartbeats to the group coordinator.
    """

    # Faust's class is a `ServiceThread`; these make it a plain `Service` again.
    start = Service.start
    maybe_start = Service.maybe_start
    stop = Service.stop
    crash = Service.crash  # type: ignore[assignment]
    set_shutdown = Service.set_shutdown
    wait_for_shutdown = Service.wait_for_shutdown
    _stopped_set = Service._stopped_set
    _stop_children = Service._stop_children
    _stop_futures = Service._stop_futures
    _stop_exit_stacks = Service._stop_exit_stacks

    async def on_stop(self) -> None:
        """Leave the group and disconnect."""
        await super().on_stop()
        if self._consumer is not None:
            try:
                await asyncio.wait_for(self._consumer.stop(), LEAVE_GROUP_TIMEOUT)
            except asyncio.TimeoutError:
                self.log.warning(
                    "no answer on leaving the group; the broker waits for the session timeout"
                )
                await self._consumer._client.close()

    async def on_start(self) -> None:
        """Connect; put the fetch throttle and the fetch by topic ids into the client."""
        await super().on_start()
        throttle = FetchThrottle(cast(ClientTransport, self.transport).max_fetch_delay)
        consumer = cast(AIOKafkaConsumer, self._consumer)
        fetcher, ids = consumer._fetcher, cast(ClientTransport, self.transport).topic_ids
        fetcher._proc_fetch_request = self._noting_missing(
            throttled(fetcher._proc_fetch_request, throttle)
        )
        consumer._client.send = FetchById(consumer._client, ids).send

    def _noting_missing(
        self, fetch: Callable[..., Awaitable[bool]]
    ) -> Callable[..., Awaitable[bool]]:
        """Return a fetch that notes in `missing` which offsets the broker does not have."""

        async def fetch_noting_missing(assignment: Any, node: int, request: Any) -> bool:
            fetched = await fetch(assignment, node, request)
            missing = cast(OwningConsumer, self.consumer).lost.missing
            for topic, partitions in request.topics:
                for partition, offset, _ in partitions:
                    tp = TopicPartition(topic, partition)
                    if assignment.active and assignment.state_value(tp).awaiting_reset:
                        missing[TP(*tp)] = offset
            return fetched

        return fetch_noting_missing

    async def getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        """Return the fetched records of active partitions that are not full."""
        is_full = cast(OwningConsumer, self.consumer).is_full
        with_room = active_partitions and cast(Any, _WithRoom(active_partitions, is_full))
        return await super().getmany(with_room, timeout)

    def wake_getmany(self) -> None:
        """Wake a waiting `getmany`: it looks again at the records that are already fetched."""
        for waiter in cast(AIOKafkaConsumer, self._consumer)._fetcher._fetch_waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek to the offsets committed for the pinned topic ids; return those of all assigned."""
        consumer = self._ensure_consumer()
        assigned = consumer.assignment()
        ids = cast(ClientTransport, self.transport).topic_ids
        offsets = await committed(consumer, assigned, ids)
        for tp, offset in offsets.items():
            if offset:
                consumer.seek(tp, offset)
        return cast(Mapping[TP, int], {tp: offsets.get(tp) for tp in assigned})

    def reset_to_beginning(self, partitions: Iterable[TP]) -> None:
        """Let partitions be read from their first record, once that is known; does not block."""
        self._ensure_consumer()._fetcher.request_offset_reset(
            [TopicPartition(*tp) for tp in partitions], OffsetResetStrategy.EARLIEST
        )

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit for assigned partitions; return False on an error, where Faust would end."""
        assigned = {
            TopicPartition(*tp): offset for tp, offset in offsets.items() if tp in self.assignment()
        }
        self.tp_last_committed_at.update(dict.fromkeys(map(ensure_TP, assigned), monotonic()))
        committing = cast(OwningConsumer, self.consumer).committing
        committing.began()
        ids = cast(ClientTransport, self.transport).topic_ids
        try:
            await self._ensure_consumer().commit(to_commit(assigned, ids))
        except CommitFailedError as exc:  # the new owner of the partitions processes them again
            self.log.info("offset commit refused after a rebalance: %s", exc)
            return False
        except KafkaError as exc:
            committing.failed(exc)
            return False
        committing.succeeded()
        return True

    def verify_event_path(self, now: float, tp: TP) -> None:
        """See `faust.transport.consumer.Consumer.verify_event_path`.

        Faust's own would end the worker while the client has no valid position. That is so while it
        resets its offset, after the broker has lost or deleted the record to be read next.
        """
        position, _ = self.position_and_high_water(tp)
        if position is not None:
            super().verify_event_path(now, tp)

    def position_and_high_water(self, tp: TP) -> tuple[int | None, int | None]:
        """Position and high water of a partition: offsets of the next record to read, and to write.

        Each is None while it is not known, as for a partition that is not assigned.
        """
        subscription = self._ensure_consumer()._subscription.subscription
        assignment = subscription and subscription.assignment
        state = assignment and assignment.state_value(tp)
        if state is None:
            return None, None
        return state.position if state.has_valid_position else None, state.highwater

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """Return the high water of each partition; retries until a broker answers."""
        async for attempt in retry_forever("looking up the ends of changelogs"):
            with attempt:
                found = await ends(self._consumer, partitions)
        return {TP(*tp): end.high_water for tp, end in found.items()}

    async def call_thread(self, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call `fun` in this event loop; there is no thread."""
        return await maybe_async(fun(*args, **kwargs))

    def _create_worker_consumer(self, transport: aiokafka.Transport) -> Any:
        # Faust fixes the broker's maximal wait for records, and has no setting for it. Apache Kafka
        # answers as soon as it has a record. The embedded broker answers only when the wait is
        # over, which adds half of it to a decision in the median.
        wire_format.install()
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"
        consumer._fetch_max_wait_ms = cast(ClientTransport, transport).fetch_wait_ms
        return consumer
