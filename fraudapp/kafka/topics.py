"""Creates the topics of the application where they are missing, and checks those that exist."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from aiokafka import errors as kafka_errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError
from faust.types import TP

from fraudapp.kafka.clients import check_access, client_options, end_offsets
from fraudapp.kafka.producer import max_dead_letter_bytes
from fraudapp.kafka.topic_configs import (
    BROKERS_CLOCK,
    KEPT_WHOLE,
    LATEST_KEPT,
    MAX_CONTROL_BYTES,
    misfits,
)
from fraudapp.operation import reason_of
from fraudapp.retry import retry_forever
from fraudapp.settings import Settings
from models.errors import NeedsOperator

log = logging.getLogger(__name__)


class BrokerUnavailable(NeedsOperator):
    """The broker does not answer, or does not create a topic; the message says what to do."""


class TopicsMisfit(NeedsOperator):
    """Existing topics do not fit the settings; the message says what to do."""


async def ensure(settings: Settings) -> None:
    """Create the topics that are missing, and check the others.

    A broker may still be starting, so this retries for `start_timeout` seconds of the settings.
    Raises `BrokerUnavailable`, `TopicsMisfit`, or `clients.BrokerRefuses`.
    """
    async for attempt in retry_forever(
        "looking for the topics",
        on=BrokerUnavailable,
        within=settings.start_timeout,
        max_wait=2.0,
    ):
        with attempt:
            await _ensure(settings)


async def _ensure(settings: Settings) -> None:
    admin = AIOKafkaAdminClient(**client_options(settings))
    try:
        await admin.start()
        existing = set(await admin.list_topics())
        if settings.decisions_topic not in existing and settings.transactions_topic in existing:
            _check_inputs(settings, (await _partitions(admin, settings.transactions_topic))[0])
        for topic in _definitions(settings):
            if topic.name not in existing:
                await _create(admin, topic)
        counts = await _partitions(admin, settings.transactions_topic, settings.decisions_topic)
        await _check_partitions(settings, *counts)
        if refusals := await misfits(settings, admin):
            raise TopicsMisfit("\n".join(refusals))
    except (KafkaError, OSError) as exc:
        await check_access(settings)
        raise BrokerUnavailable(
            f"FRAUD_BROKER_URL={settings.broker_url}: {reason_of(exc, 'DESCRIBE')}; "
            f"is the broker running, and reachable from here with "
            f"FRAUD_BROKER_SECURITY={settings.broker_security}?"
        ) from exc
    finally:
        await admin.close()


async def _partitions(admin: AIOKafkaAdminClient, *names: str) -> list[int]:
    """Return how many partitions each topic has; 0 for one just created."""
    described = await admin.describe_topics([*names])
    counts = {topic["topic"]: len(topic["partitions"]) for topic in described}
    return [counts[name] for name in names]


def _check_inputs(settings: Settings, inputs: int) -> None:
    """Raise `TopicsMisfit` if a topic of one's own has too few partitions for the settings.

    Checked before the first topic is made: from then on the number is chosen.
    """
    if 0 < inputs < settings.topic_partitions:
        raise TopicsMisfit(
            f"topic {settings.transactions_topic} has {inputs} partitions, and "
            f"FRAUD_TOPIC_PARTITIONS is {settings.topic_partitions}: set it to {inputs} or less, "
            f"or give the topic as many with: {_more_partitions(settings)}"
        )


def _more_partitions(settings: Settings) -> str:
    return (
        f"kafka-topics.sh --bootstrap-server {','.join(settings.bootstrap_servers)} --alter "
        f"--topic {settings.transactions_topic} --partitions {settings.topic_partitions}"
    )


async def _check_partitions(settings: Settings, inputs: int, decisions: int) -> None:
    """Raise `TopicsMisfit` unless the partitions of both topics fit the settings.

    `inputs` and `decisions` are the numbers of partitions of the transactions topic and of the
    decisions topic; 0 is that of a topic just created. The decisions topic needs exactly the key
    partitions, but for some added while it was in use. The transactions topic needs at least these.
    """
    key_partitions = settings.topic_partitions
    if decisions not in (0, key_partitions) and not await _were_added(settings, decisions):
        raise TopicsMisfit(
            f"topic {settings.decisions_topic} has {decisions} partitions, and "
            f"FRAUD_TOPIC_PARTITIONS is {key_partitions}; set it to {decisions}"
        )
    if 0 < inputs < key_partitions:
        raise TopicsMisfit(
            f"topic {settings.transactions_topic} has {inputs} partitions, and "
            f"{settings.decisions_topic} has {key_partitions}; "
            f"give it as many with: {_more_partitions(settings)}"
        )
    if inputs > key_partitions:
        log.warning(
            "topic %s has %d partitions, and %s has %d: records of the last %d are sent on first",
            *(settings.transactions_topic, inputs, settings.decisions_topic, key_partitions),
            inputs - key_partitions,
        )


async def _were_added(settings: Settings, decisions: int) -> bool:
    """Whether the partitions beyond those of the settings were added to a topic in use.

    Decisions are then in the key partitions only, and the others stay unused.
    """
    topic, key_partitions = settings.decisions_topic, settings.topic_partitions
    found = await end_offsets(settings, [TP(topic, partition) for partition in range(decisions)])
    used = {tp.partition for tp, end in found.items() if end}
    return bool(used) and max(used) < key_partitions


async def _create(admin: AIOKafkaAdminClient, topic: NewTopic) -> None:
    try:
        response = await admin.create_topics([topic])
    except TopicAlreadyExistsError:
        return
    for name, code, *message in response.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):  # another worker was quicker
            why = reason_of(kafka_errors.for_code(code)(name), "CREATE")
            raise BrokerUnavailable(f"cannot create topic {name}: {why} {message}")


def _definitions(settings: Settings) -> list[NewTopic]:
    largest = settings.max_message_bytes
    configurations: dict[str, Mapping[str, object]] = {
        settings.transactions_topic: {"max.message.bytes": largest},
        settings.decisions_topic: {**KEPT_WHOLE, **BROKERS_CLOCK},
        settings.dead_letters_topic: {
            "max.message.bytes": max_dead_letter_bytes(settings),
            **BROKERS_CLOCK,
        },
        settings.progress_topic: {**LATEST_KEPT, **BROKERS_CLOCK},
        settings.control_topic: {
            "max.message.bytes": MAX_CONTROL_BYTES,
            **KEPT_WHOLE,
            **BROKERS_CLOCK,
        },
        settings.labels_topic: {**KEPT_WHOLE, **BROKERS_CLOCK},
        settings.labelled_topic: {**KEPT_WHOLE, **BROKERS_CLOCK},
    }
    of_one_partition = (settings.progress_topic, settings.control_topic)
    return [
        NewTopic(
            name=name,
            num_partitions=1 if name in of_one_partition else settings.topic_partitions,
            replication_factor=settings.topic_replicas,
            topic_configs={option: str(value) for option, value in configuration.items()},
        )
        for name, configuration in configurations.items()
    ]
