"""Notices what becomes of the topic of transactions while a worker runs."""

from __future__ import annotations

import logging
from typing import Final

from aiokafka.errors import KafkaError
from mode import Service

from fraudapp.appender import Appender
from fraudapp.settings import Settings

log = logging.getLogger(__name__)

INTERVAL: Final = 2.0
"""Seconds between two looks; each is a question to one broker."""


class TopicWatch(Service):
    """Says, once, that the topic has got partitions which no worker reads yet.

    Faust's client hears of them minutes later, and not before all workers were started again is it
    certain that each of them knows.
    """

    def __init__(self, settings: Settings, appender: Appender) -> None:
        self.problem: str | None = None
        """What is the matter, and the way out; None if all is well."""
        self._settings = settings
        self._appender = appender
        self.partitions = 0
        """How many the topic had when this worker started."""
        super().__init__()

    async def on_start(self) -> None:
        """Count the partitions; raises `KafkaError`."""
        self.partitions = await self._appender.partitions(self._settings.transactions_topic)

    @Service.timer(INTERVAL)
    async def _look(self) -> None:
        topic = self._settings.transactions_topic
        try:
            now = await self._appender.partitions(topic, afresh=True)
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
