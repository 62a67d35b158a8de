"""Lanes: each tells the events of one partition, one after the other."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Final

from aiokafka import TopicPartition

from fraudapp.operation import Operation
from fraudapp.retry import retry_forever
from fraudapp.webhooks import metrics
from fraudapp.webhooks.events import Event
from fraudapp.webhooks.receiver import NotDelivered, Receiver

MAX_WAIT: Final = 30.0
"""Seconds between two attempts, at most, unless the receiver has asked for more."""


class Lane(ABC):
    """Tells the events of one partition in their order, each until it is delivered."""

    def __init__(self, tp: TopicPartition, receiver: Receiver) -> None:
        self.tp: Final = tp
        self.done: int | None = None
        """All events before this offset are delivered; None until the lane has begun."""
        self.committed: int | None = None
        """The last `done` that was committed."""
        self.task: asyncio.Task[None] | None = None
        """Its `run`, which ends only when it is cancelled."""
        self._receiver = receiver
        self._telling = Operation(f"telling {receiver.name} of {tp.topic}/{tp.partition}")

    @abstractmethod
    async def run(self, start: int) -> None:
        """Tell events from an offset on, until cancelled."""

    async def tell(self, event: Event) -> None:
        """Return once the receiver has answered 2xx."""
        with metrics.undelivered(event.happened_at):
            async for attempt in retry_forever(self._telling, NotDelivered, max_wait=MAX_WAIT):
                with attempt:
                    await self._receiver.tell(event)
        self.done = event.offset + 1


class DecisionLane(Lane):
    """Tells the events that it is given, those of one poll at a time."""

    def __init__(
        self, tp: TopicPartition, receiver: Receiver, resume: Callable[[TopicPartition], None]
    ) -> None:
        """`resume` is called whenever it can be given events."""
        super().__init__(tp, receiver)
        self._resume = resume
        self._given = asyncio.Queue[tuple[Sequence[Event], int]](maxsize=1)

    def give(self, events: Sequence[Event], end: int) -> None:
        """Let events be told; `end` is the offset after the last record of their poll.

        Nothing more may be given until `resume` is called.
        """
        self._given.put_nowait((events, end))

    async def run(self, start: int) -> None:
        """Tell the events that are given, until cancelled; there are none before an offset."""
        self.done = start
        while True:
            self._resume(self.tp)
            events, end = await self._given.get()
            for event in events:
                await self.tell(event)
            self.done = end
