"""Notices what becomes of topics while a worker runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from aiokafka.errors import KafkaError
from mode import Service

from fraudapp.kafka.producer import BatchProducer
from fraudapp.kafka.topic_ids import TopicRemade, same
from fraudapp.settings import Settings

log = logging.getLogger(__name__)

INTERVAL: Final = 2.0
"""Seconds between two looks; each is two questions to one broker."""


class TopicWatch(Service):
    """Says, once, that the topic of transactions has got partitions which no worker reads yet.

    Faust's client hears of them minutes later, and not before all workers were started again is it
    certain that each of them knows. If that topic, or the one of decisions, is made anew, the
    worker has to end: all it knows of offsets is of another topic.
    """

    def __init__(
        self, settings: Settings, producer: BatchProducer, end: Callable[[TopicRemade], None]
    ) -> None:
        """`end` is called when the worker has to end."""
        self.problem: str | None = None
        """What is the matter, and the way out; None if all is well."""
        self._settings = settings
        self._producer = producer
        self._end = end
        self.partitions = 0
        """How many the topic had when this worker started."""
        self.ids: dict[str, str] = {}
        """Ids of both topics when this worker started, "" where the broker has none."""
        super().__init__()

    async def on_start(self) -> None:
        """Note what is there; raises `KafkaError`."""
        topics = {self._settings.transactions_topic, self._settings.decisions_topic}
        self.ids = await self._producer.topic_ids(topics, wait=True)
        self.partitions = await self._producer.partitions(self._settings.transactions_topic)

    @Service.timer(INTERVAL)
    async def _look(self) -> None:
        topic = self._settings.transactions_topic
        try:
            ids = await self._producer.topic_ids(self.ids)
            if remade := [each for each in sorted(ids) if not same(ids[each], self.ids[each])]:
                self._end(_remade(remade[0]))
                return
            now = await self._producer.partitions(topic, afresh=True)
        except KafkaError as exc:
            log.debug("cannot look at topic %s now: %r", topic, exc)
            return
        if now > self.partitions and self.problem is None:
            self.problem = (
                f"topic {topic} had {self.partitions} partitions when this worker started, and "
                f"has {now}: messages in the new ones wait until every worker was started again; "
                f"leave FRAUD_TOPIC_PARTITIONS at {self._settings.topic_partitions}"
            )
            log.critical(self.problem)


def _remade(topic: str) -> TopicRemade:
    return TopicRemade(
        f"topic {topic} was deleted and made anew; started again, it reads the new one from its "
        "beginning"
    )
