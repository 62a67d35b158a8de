"""Record batches in flight: acknowledged once processed, released when they are interrupted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Final, Protocol, TypeVar

from faust import App
from faust.types import TP, Message

from agents.partition_queues import Events
from fraudapp.retry import retry_forever

log = logging.getLogger(__name__)

T = TypeVar("T")

STOP_TIMEOUT: Final = 2.0
"""Seconds that a batch in flight may take when the worker is asked to stop."""


class Consumption(Protocol):
    """The part of `SafeConsumer` that the pipeline uses."""

    @property
    def generation(self) -> int:
        """Generation of the consumer group; each has a new assignment of partitions."""

    def acknowledge(self, message: Message) -> None:
        """Declare a record batch processed."""

    def release(self, message: Message) -> None:
        """Let go of a record batch unprocessed: it is delivered again."""

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int | None]:
        """Return the offset that the next record of each partition will get."""


class InFlight:
    """Acknowledges record batches, or releases them to whoever owns their partition next."""

    def __init__(self, app: App, consumer: Consumption) -> None:
        self._app = app
        self._consumer = consumer

    @property
    def generation(self) -> int:
        """The current generation of the consumer group."""
        return self._consumer.generation

    @property
    def stopping(self) -> bool:
        """Whether the worker is asked to stop."""
        return bool(self._app.should_stop)

    @property
    def suspended(self) -> bool:
        """Whether nothing new may begin: the worker stops, or is about to be rebalanced."""
        return self.stopping or not self._app.flow_control.is_active()

    async def end_of(self, partition: TP) -> int | None:
        """Return the offset that the next record of a partition will get; retries for ever."""
        async for attempt in retry_forever(
            f"looking up the end of {partition.topic}/{partition.partition}"
        ):
            with attempt:
                end = (await self._consumer.highwaters(partition))[partition]
        return end

    def acknowledge(self, events: Events) -> None:
        """Declare record batches processed."""
        for event in events:
            self._consumer.acknowledge(event.message)

    def release(self, events: Events) -> None:
        """Let go of record batches unprocessed: they are read again."""
        for event in events:
            self._consumer.release(event.message)

    def is_stale(self, events: Events, generation: int) -> bool:
        """Whether one of them was delivered in another generation; then all are delivered again."""
        return any(event.message.generation_id != generation for event in events)

    def release_stale(self, of: Iterable[T], events_of: Callable[[T], Events]) -> list[T]:
        """Release items of an earlier assignment, and return the rest."""
        generation, rest = self.generation, []
        for each in of:
            events = events_of(each)
            if self.is_stale(events, generation):
                log.info("released %d record batches of an earlier assignment", len(events))
                self.release(events)
            else:
                rest.append(each)
        return rest

    async def unless_interrupted(self, work: Coroutine[Any, Any, T], events: Events) -> T | None:
        """Return what `work` returns, or None after releasing its record batches.

        When the worker is asked to stop, or to let go of its partitions, `work` has `STOP_TIMEOUT`
        left: all other workers wait for a rebalance as long as this one does.
        """
        working = asyncio.ensure_future(work)
        stopped = asyncio.ensure_future(self._app._stopped.wait())
        suspended = asyncio.ensure_future(self._app.flow_control._suspend.wait())
        interruptions = [stopped, suspended]
        await asyncio.wait([working, *interruptions], return_when=asyncio.FIRST_COMPLETED)
        for each in interruptions:
            each.cancel()
        if not working.done():
            await asyncio.wait([working], timeout=STOP_TIMEOUT)
        if working.done():
            return working.result()
        working.cancel()
        log.warning(
            "released %d record batches unprocessed: broker or disk took over %g s",
            len(events),
            STOP_TIMEOUT,
        )
        self.release(events)
        return None
