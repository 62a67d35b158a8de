"""Watches the topics of a running worker for new partitions, and for being made anew."""

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

WATCH_INTERVAL: Final = 2.0
"""Seconds between two checks; each is two requests to one broker."""


class TopicWatch(Service):
    """Reports, once, that the transactions topic has new partitions, which no worker reads yet.

    Faust's client learns of them minutes later, each worker at another time. Only after a restart
    of all workers is it certain that each of them knows the new number. If the transactions topic,
    the decisions topic, the control topic or one of the topics of labels is made anew, the worker
    has to end: its offsets are of the old topic.
    """

    def __init__(
        self, settings: Settings, producer: BatchProducer, end: Callable[[TopicRemade], None]
    ) -> None:
        """`end` ends the worker; it is called if a topic was made anew."""
        self.problem: str | None = None
        """The new partitions, and what to do about them; None if there are none."""
        self._settings = settings
        self._producer = producer
        self._end = end
        self.partitions = 0
        """Number of partitions of the transactions topic when this worker started."""
        self.ids: dict[str, str] = {}
        """Ids of these topics when this worker started, "" where the broker has none."""
        super().__init__()

    async def on_start(self) -> None:
        """Note the ids and the number of partitions; raises `KafkaError`."""
        topics = {
            self._settings.transactions_topic,
            self._settings.decisions_topic,
            self._settings.control_topic,
            self._settings.labels_topic,
            self._settings.labelled_topic,
        }
        self.ids = await self._producer.topic_ids(topics, wait=True)
        self.partitions = await self._producer.partitions(self._settings.transactions_topic)

    @Service.timer(WATCH_INTERVAL)
    async def _check(self) -> None:
        topic = self._settings.transactions_topic
        try:
            ids = await self._producer.topic_ids(self.ids)
            if remade := [each for each in sorted(ids) if not same(ids[each], self.ids[each])]:
                self._end(_remade(remade[0]))
                return
            partitions = await self._producer.partitions(topic, afresh=True)
        except KafkaError as exc:
            log.debug("cannot check topic %s now: %r", topic, exc)
            return
        if partitions > self.partitions and self.problem is None:
            self.problem = (
                f"topic {topic} had {self.partitions} partitions when this worker started, and "
                f"has {partitions}: "
                "messages in the new ones wait until every worker is restarted; "
                f"leave FRAUD_TOPIC_PARTITIONS at {self._settings.topic_partitions}"
            )
            log.critical(self.problem)


def _remade(topic: str) -> TopicRemade:
    return TopicRemade(
        f"topic {topic} was deleted and made anew; after a restart, the worker reads the new one "
        "from its beginning"
    )
