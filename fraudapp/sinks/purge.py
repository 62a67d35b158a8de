"""What a purge does: says in the topic of progress what goes, for every worker, then deletes it."""

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

PATIENCE: Final = 60.0
"""Seconds that the broker may take."""
PASSES: Final = 5
"""Times that a sink is looked through, at most; a worker has heard of the purge in the second."""


class CannotMark(Retryable):
    """The broker has not noted what is to go; the message says what to do. Nothing is deleted."""


async def mark(
    settings: Settings, sinks: Iterable[str], before: date, *, take_back: bool = False
) -> None:
    """Note that sinks keep nothing of the days before one; see `Progress.mark`.

    Raises `CannotMark`.
    """
    names = list(sinks)
    try:
        await topics.ensure(settings)
        await asyncio.wait_for(_mark(settings, names, before, take_back), PATIENCE)
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
    """Delete what was decided on the days before; raises `SinkUnavailable`.

    Also what a worker that had not heard yet was just saving; but not for ever what one saves that
    does not hear.
    """
    count = 0
    for _ in range(PASSES):
        gone = await sink.purge(before)
        count += gone
        if not gone:
            return count
    log.warning(
        "%s: %d were there again after they had been deleted: some worker goes on saving what was "
        "decided before %s; look at its clock and its log, and purge again",
        *(sink.name, gone, before),
    )
    return count
