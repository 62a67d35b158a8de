"""The two steps of a purge: mark the days in the topic of progress, then delete them.

Every worker reads the mark, and saves nothing of those days again from the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import date
from typing import Final

from aiokafka.errors import KafkaError

from fraudapp.kafka import topics
from fraudapp.kafka.clients import BrokerRefuses
from fraudapp.kafka.producer import BatchProducer
from fraudapp.settings import Settings
from fraudapp.sinks.base import DecisionSink
from fraudapp.sinks.progress import Progress
from models.errors import Retryable

log = logging.getLogger(__name__)

MARK_TIMEOUT: Final = 60.0
"""Seconds that the broker may take to mark the days."""
MAX_PASSES: Final = 5
"""Times that a sink is purged, at most; a running worker has read the mark before the second."""


class CannotMark(Retryable):
    """The days could not be marked; nothing is deleted, and the message says what to do."""


async def mark(
    settings: Settings, sinks: Iterable[str], before: date, *, take_back: bool = False
) -> None:
    """Mark that sinks keep nothing of the days before one; see `Progress.mark`.

    Raises `CannotMark`.
    """
    names = list(sinks)
    try:
        await topics.ensure(settings)
        await asyncio.wait_for(_mark(settings, names, before, take_back), MARK_TIMEOUT)
    except (topics.BrokerUnavailable, topics.TopicsMisfit, BrokerRefuses) as exc:
        raise CannotMark(str(exc)) from exc
    except (KafkaError, asyncio.TimeoutError) as exc:
        raise CannotMark(f"FRAUD_BROKER_URL={settings.broker_url}: {exc!r}") from exc


async def _mark(settings: Settings, names: list[str], before: date, take_back: bool) -> None:
    producer = BatchProducer(settings)
    progress = Progress(settings, producer, names)
    try:
        await producer.start()
        await progress.start()
        await progress.current()
        for name in names:
            await progress.mark(name, before, take_back=take_back)
    finally:
        await progress.stop()
        await producer.stop()


async def delete(sink: DecisionSink, before: date) -> int:
    """Delete the decisions of the days before one, and return how many they were.

    Repeats the purge, because a worker that had not read the mark may just have saved some of them.
    Gives up with a warning if a worker goes on saving them. Raises `SinkUnavailable`.
    """
    count = 0
    for _ in range(MAX_PASSES):
        deleted = await sink.purge(before)
        count += deleted
        if not deleted:
            return count
    log.warning(
        "%s: %d more decisions or files were there after each deletion: a worker still saves "
        "decisions from before %s; look at its clock and its log, and purge again",
        *(sink.name, deleted, before),
    )
    return count
