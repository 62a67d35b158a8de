"""Partitions of the input beyond those of the decision log: records are sent on unparsed.

Key partitions depend on the number of partitions of the log, which stays. Where the transactions
topic has more, such as after somebody has added some, their records are put into the others as they
are, and decided, rerouted or rejected there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.in_flight import InFlight
from agents.partition_queues import Events, partition_of
from fraudapp.kafka.producer import BatchProducer
from fraudapp.kafka.record_batch import record_batch_of
from fraudapp.messages.publish import send_raw
from fraudapp.settings import Settings
from models.inputs import Input, Position


@dataclass
class Surplus:
    """The part of a batch that is of one surplus partition."""

    partition: int
    events: Events


class SurplusPartitions:
    """The steps of a batch in which nothing is decided; see `agents.batcher`."""

    def __init__(self, settings: Settings, producer: BatchProducer, in_flight: InFlight) -> None:
        self._topic = settings.transactions_topic
        self._partitions = settings.topic_partitions
        self._producer = producer
        self._in_flight = in_flight

    def is_ready(self, partition: int) -> bool:
        """Nothing is looked up here, so nothing is waited for."""
        return True

    async def begin(self, batch: Sequence[Events]) -> Sequence[Surplus]:
        """Return all of it: there is nothing to decide."""
        if self._in_flight.suspended:
            for events in batch:
                self._in_flight.release(events)
            return []
        return [Surplus(partition_of(events), events) for events in batch]

    async def finish(self, part: Surplus) -> None:
        """Send records on, and acknowledge them.

        A crash in between may send some twice: a transaction is decided once all the same.
        """
        await self._in_flight.unless_interrupted(self._send_on(part), part.events)

    async def _send_on(self, part: Surplus) -> None:
        inputs = []
        for event in part.events:
            for record in record_batch_of(event.message).records:
                position = Position(record.topic, record.partition, record.offset)
                inputs.append(Input(record.key, record.value, position, position))
        await send_raw(self._producer, self._topic, part.partition % self._partitions, inputs)
        for each in self._in_flight.release_stale([part], lambda part: part.events):
            self._in_flight.acknowledge(each.events)
