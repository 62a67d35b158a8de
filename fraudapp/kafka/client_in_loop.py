"""The Kafka client in the worker's own event loop, where Faust has a thread for it.

It leans on private names, so the versions are pinned, and a test fails when they change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container, Mapping
from time import monotonic
from typing import Any, Final, Protocol, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka
from faust.types import TP
from mode import Service
from mode.utils.futures import maybe_async

from fraudapp.kafka import wire_format
from fraudapp.kafka.fetch_by_id import FetchById
from fraudapp.kafka.fetch_throttle import FetchThrottle, throttled
from fraudapp.kafka.offsets import ends
from fraudapp.kafka.topic_ids import committed, to_commit
from fraudapp.operation import Operation
from fraudapp.retry import retry_forever

LEAVING: Final = 2.0
"""Seconds that the broker may take to let a worker go; else the session ends by itself."""


class Owner(Protocol):
    """What the client asks of the consumer that it works for."""

    missing: dict[TP, int]
    """Offsets that were asked for and that the broker does not have."""
    is_full: Callable[[TP], bool]
    """Whether a partition is to be left where it is for now."""
    committing: Operation


class ClientTransport(aiokafka.Transport):
    """How the client is to fetch, and what it is to know of the topics."""

    fetch_wait_ms = 500
    """Milliseconds the broker may take to answer that there is nothing."""
    max_fetch_delay = 0.01
    """Seconds from one fetch to the next, at most, of a worker without time to spare."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.topic_ids: Mapping[str, str] = {}
        """Ids of the topics whose offsets mean nothing once they are others; see `FetchById`."""
        self.end: Callable[[Exception], None]
        """Called once nothing more can be read; set before a worker starts to."""


class _WithRoom(Container[TP]):
    """Active partitions that are not full, at the moment when it is asked for one.

    What the client has fetched of another stays with it, and it fetches no more of that one.
    """

    def __init__(self, active: Container[TP], is_full: Callable[[TP], bool]) -> None:
        self._active = active
        self._is_full = is_full

    def __contains__(self, tp: object) -> bool:
        return tp in self._active and not self._is_full(cast(TP, tp))


class ClientInLoop(aiokafka.AIOKafkaConsumerThread):
    """The client in the worker's own event loop; Faust has a thread for it, with a loop of its own.

    There, each look at a socket lets go of the interpreter, and gets it back when the main thread
    has had its turn, several times a fetch: at 500 transactions a second the median from produce to
    decision was 10 ms, and is 3 (measured). And a worker whose loop hangs should not go on telling
    the broker that it is well.
    """

    # A service like any other, where Faust's is one that lives in a thread.
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
                await asyncio.wait_for(self._consumer.stop(), LEAVING)
            except asyncio.TimeoutError:
                self.log.warning("the broker is in trouble; that this worker left it learns later")
                await self._consumer._client.close()

    async def on_start(self) -> None:
        """Connect, and let fetches rest as needed before they are sent."""
        await super().on_start()
        rest = FetchThrottle(cast(ClientTransport, self.transport).max_fetch_delay)
        consumer = cast(AIOKafkaConsumer, self._consumer)
        fetcher, ids = consumer._fetcher, cast(ClientTransport, self.transport).topic_ids
        fetcher._proc_fetch_request = self._noting(throttled(fetcher._proc_fetch_request, rest))
        consumer._client.send = FetchById(consumer._client, ids).send

    def _noting(self, fetch: Callable[..., Awaitable[bool]]) -> Callable[..., Awaitable[bool]]:
        """Return a fetch that notes which offsets the broker does not have."""

        async def fetch_noting(assignment: Any, node: int, request: Any) -> bool:
            fetched = await fetch(assignment, node, request)
            missing = cast(Owner, self.consumer).missing
            for topic, partitions in request.topics:
                for number, offset, _ in partitions:
                    tp = TopicPartition(topic, number)
                    if assignment.active and assignment.state_value(tp).awaiting_reset:
                        missing[TP(*tp)] = offset
            return fetched

        return fetch_noting

    async def getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        """Return what has been fetched of active partitions that are not full."""
        is_full = cast(Owner, self.consumer).is_full
        wanted = active_partitions and cast(Any, _WithRoom(active_partitions, is_full))
        return await super().getmany(wanted, timeout)

    def look_again(self) -> None:
        """Let the client look again at what it has fetched, if it waits for more."""
        for waiter in cast(AIOKafkaConsumer, self._consumer)._fetcher._fetch_waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Go to what is committed for these topics, not for others that had their names."""
        consumer = self._ensure_consumer()
        assigned = consumer.assignment()
        ids = cast(ClientTransport, self.transport).topic_ids
        found = await committed(consumer, assigned, ids)
        for partition, offset in found.items():
            if offset:
                consumer.seek(partition, offset)
        return cast(Mapping[TP, int], {partition: found.get(partition) for partition in assigned})

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit what is assigned; Faust would end the worker if it may not."""
        mine = {TopicPartition(*tp): end for tp, end in offsets.items() if tp in self.assignment()}
        self.tp_last_committed_at.update(dict.fromkeys(map(ensure_TP, mine), monotonic()))
        committing = cast(Owner, self.consumer).committing
        committing.began()
        ids = cast(ClientTransport, self.transport).topic_ids
        try:
            await self._ensure_consumer().commit(to_commit(mine, ids))
        except CommitFailedError as exc:  # whoever has the partitions now does them again
            self.log.info("not committed: %s", exc)
            return False
        except KafkaError as exc:
            committing.failed(exc)
            return False
        committing.succeeded()
        return True

    def verify_event_path(self, now: float, tp: TP) -> None:
        """See `faust.transport.consumer.Consumer.verify_event_path`.

        Faust's would end the worker while the client asks from where on it can read, as it does
        when the broker has lost, or deleted, what was to be read next.
        """
        position, _ = self.reach(tp)
        if position is not None:
            super().verify_event_path(now, tp)

    def reach(self, tp: TP) -> tuple[int | None, int | None]:
        """Offset of the next record to be read of a partition, and of the next to be written.

        Each is None while it is not known.
        """
        subscription = self._ensure_consumer()._subscription.subscription
        assignment = subscription and subscription.assignment
        state = assignment and assignment.state_value(tp)
        if state is None:
            return None, None
        return state.position if state.has_valid_position else None, state.highwater

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """Return the offset that the next record of each partition will get."""
        async for attempt in retry_forever("asking where changelogs end"):
            with attempt:
                found = await ends(self._consumer, partitions)
        return {TP(*partition): end.high_water for partition, end in found.items()}

    async def call_thread(self, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call it here and now."""
        return await maybe_async(fun(*args, **kwargs))

    def _create_worker_consumer(self, transport: aiokafka.Transport) -> Any:
        # How long the broker may wait for messages; Faust has 1.5 s, and no setting. Apache Kafka
        # answers as soon as there is one. A broker that answers only when the wait is over adds
        # half of it to every decision (410 ms in the median, measured on the embedded one).
        wire_format.install()
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"
        consumer._fetch_max_wait_ms = cast(ClientTransport, transport).fetch_wait_ms
        return consumer
