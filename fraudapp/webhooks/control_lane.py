"""The lane of the control topic."""

from __future__ import annotations

import asyncio

from aiokafka import TopicPartition

from fraudapp.control.fitting import misfit
from fraudapp.control.reader import reading
from fraudapp.operation import Operation
from fraudapp.retry import retry_forever
from fraudapp.settings import Settings
from fraudapp.webhooks.events import Chronicle, Event
from fraudapp.webhooks.lanes import Lane
from fraudapp.webhooks.receiver import Receiver
from models.control.records import ControlRecord


class ControlLane(Lane):
    """Reads the control topic from its beginning, and tells what changes from an offset on.

    What a record changes depends on all that went before. The topic is read with records that are
    not committed, as workers read it.
    """

    def __init__(
        self, tp: TopicPartition, receiver: Receiver, settings: Settings, reads: Operation
    ) -> None:
        """`reads` notes each success and failure of a read."""
        super().__init__(tp, receiver)
        self._settings = settings
        self._reads = reads

    async def run(self, start: int) -> None:
        """Read until cancelled; after a failure, from the beginning again."""
        self.done = start
        async for attempt in retry_forever(self._reads):
            with attempt:
                await self._follow()

    async def _follow(self) -> None:
        chronicle = Chronicle()
        async with reading(self._settings) as reader:
            while True:
                records = await reader.more()
                self._reads.succeeded()
                for record in records:
                    event = await self._event(chronicle, record)
                    if event and record.offset >= (self.done or 0) and self._is_wanted(event):
                        await self.tell(event)
                self.done = max(self.done or 0, reader.next_offset)

    async def _event(self, chronicle: Chronicle, record: ControlRecord) -> Event | None:
        event = chronicle.take(record)
        if event is None or event.type != "policy.changed" or not self._is_wanted(event):
            return event
        # A large policy takes a while, and decisions do not wait for it.
        problem = await asyncio.to_thread(misfit, chronicle.last, self._settings.transaction_schema)
        return event._replace(data={**event.data, "problem": problem}) if problem else event

    def _is_wanted(self, event: Event) -> bool:
        kind = "policy" if event.type == "policy.changed" else "capped"
        return kind in self._settings.webhook_kinds
