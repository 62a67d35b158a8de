"""Preparation for the first worker: a model, the topics, the tables and the bucket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fraudapp.first_model import ready_scorer
from fraudapp.kafka import topics
from fraudapp.kafka.producer import BatchProducer
from fraudapp.retry import retry_forever
from fraudapp.settings import Settings
from fraudapp.shared_model import shared_scorer
from fraudapp.sinks.all import Sinks
from fraudapp.sinks.base import SinkUnavailable

Say = Callable[[str], None]
"""Takes a sentence for the terminal."""


def prepare_model(settings: Settings, say: Say) -> None:
    """Train and activate a model unless one is active; see `ready_scorer`. Blocks."""
    say(f"model: {ready_scorer(settings, say).version} is active")


async def prepare_shared_model(settings: Settings, say: Say) -> None:
    """Have a model that the control topic has for all workers; see `shared_scorer`.

    The topics are there. Raises `KafkaError`, or like `prepare_model`.
    """
    producer = BatchProducer(settings)
    await producer.start()
    try:
        scorer = await shared_scorer(settings, producer, say)
    finally:
        await producer.stop()
    say(f"model: {scorer.version} is active")


async def prepare_servers(settings: Settings, say: Say) -> None:
    """Create missing topics, tables and the bucket; several processes may do so at once.

    Each server may take `settings.start_timeout` seconds to answer. Raises
    `topics.BrokerUnavailable`, `topics.TopicsMisfit` or `SinkUnavailable`.
    """
    from fraudapp.sinks.archive.s3 import S3Archive  # here, since most workers need no S3 client

    await topics.ensure(settings)
    say(f"topics: there, with {settings.topic_partitions} partitions")
    sinks = Sinks(settings)
    try:
        await _in_time(settings, "FRAUD_POSTGRES_URL", sinks.postgres.open)
        say("postgres: tables are up to date")
        if isinstance(sinks.archive, S3Archive):
            await _in_time(settings, "FRAUD_ARCHIVE_URL", sinks.archive.make_bucket)
        await _in_time(settings, "FRAUD_ARCHIVE_URL", sinks.archive.open)
        say(f"archive: {settings.archive} is there")
    finally:
        for sink in sinks.each:
            await sink.close()


async def _in_time(settings: Settings, setting: str, action: Callable[[], Awaitable[None]]) -> None:
    try:
        async for attempt in retry_forever(
            f"preparing what {setting} names",
            on=SinkUnavailable,
            within=settings.start_timeout,
            max_wait=2.0,
        ):
            with attempt:
                await action()
    except SinkUnavailable as exc:
        raise SinkUnavailable(f"{exc} (see {setting})") from exc
