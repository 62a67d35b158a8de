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
    """What the pipeline asks of the consumer; see `SafeConsumer`."""

    @property
    def generation(self) -> int:
        """Of the consumer group: with each, partitions are assigned anew."""

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
        """The consumer group's, now."""
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
        """Return the offset that the next record of a partition will get; tries until it knows."""
        async for attempt in retry_forever(
            f"looking where {partition.topic}/{partition.partition} ends"
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
        """Release what was assigned anew since it was delivered, and return the rest."""
        generation, rest = self.generation, []
        for each in of:
            events = events_of(each)
            if self.is_stale(events, generation):
                log.info("%d record batches were assigned anew, and are read again", len(events))
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
            "%d record batches are left to the next worker: they wait for broker or disk",
            len(events),
        )
        self.release(events)
        return None
