"""Which configuration the topics of the application need, and how to repair one that differs.

No worker starts on a topic whose configuration would lose data. One that has only a cost is logged
as a warning.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from aiokafka import errors as kafka_errors
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from fraudapp.kafka.producer import max_dead_letter_bytes
from fraudapp.settings import Settings

log = logging.getLogger(__name__)

KEPT_WHOLE: Final = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
"""Configuration of the decisions topic, of which every record counts. Compaction would keep the
last record under a key, and of several decisions under one id the first is the one that counts."""
LATEST_KEPT: Final = {"cleanup.policy": "compact", "segment.bytes": "1048576"}
"""Configuration of a topic of which the last record under a key counts. Compaction never touches
the active segment, so small segments keep the topic short."""
BROKERS_CLOCK: Final = {"message.timestamp.type": "LogAppendTime"}
"""Configuration of a topic that only workers write to. With their own timestamps, a broker would
refuse records of a worker whose clock is ahead, and soon delete those of one that is behind."""
SMALLEST_LIMIT: Final = 16_384
"""Bytes that the decisions topic has to take in a batch: more than the largest decision has."""


MAX_CONTROL_BYTES: Final = 4 << 20
"""Bytes of a record of the control topic: a policy of 1 MiB, of which JSON escapes much."""


class Demand(NamedTuple):
    """The value that one configuration option of a topic needs."""

    topic: str
    option: str
    suits: Callable[[str], bool]
    """Whether a value will do."""
    value: str
    """A value that suits, for the repair command."""
    why: str
    """The consequence of a value that does not suit, for the operator."""
    required: bool
    """Whether a worker must not start without it; else it is a warning."""


def demands(settings: Settings) -> list[Demand]:
    """Return what the topics of the application need, whether they exist or not."""
    written = (
        settings.decisions_topic,
        settings.dead_letters_topic,
        settings.progress_topic,
        settings.control_topic,
        settings.labels_topic,
        settings.labelled_topic,
    )
    return [
        *_of_decisions(settings.decisions_topic),
        *_of_dead_letters(settings.dead_letters_topic, max_dead_letter_bytes(settings)),
        *_of_transactions(settings.transactions_topic, settings.max_message_bytes),
        *_of_control(settings.control_topic),
        *_of_labels(settings.labels_topic),
        *_of_labels(settings.labelled_topic),
        *map(_broker_timestamps, written),
        *map(_compacted, changelogs(settings)),
    ]


def changelogs(settings: Settings) -> list[str]:
    """Return the topics that hold the latest record under each key, and are read at each start."""
    tables = ("decision-counts", "partition-reports", "quality", "watch")
    return [*(f"{settings.app_id}-{table}-changelog" for table in tables), settings.progress_topic]


def _of_decisions(topic: str) -> list[Demand]:
    return [
        *_kept_whole(
            topic,
            "compaction keeps the last decision under an id, and the first is the one that counts",
            "what is deleted from it can be decided again",
        ),
        Demand(
            topic,
            "max.message.bytes",
            _at_least(SMALLEST_LIMIT),
            "1048588",
            "decisions could not be written to it",
            True,
        ),
    ]


def _of_dead_letters(topic: str, max_bytes: int) -> list[Demand]:
    return [
        Demand(
            topic,
            "cleanup.policy",
            _not_compacted,
            "delete",
            "it would refuse a dead letter without a key, and keep only one for each key",
            True,
        ),
        Demand(
            topic,
            "max.message.bytes",
            _at_least(max_bytes),
            str(max_bytes),
            "larger dead letters are cut",
            False,
        ),
    ]


def _of_transactions(topic: str, max_bytes: int) -> list[Demand]:
    return [
        Demand(
            topic,
            "cleanup.policy",
            _not_compacted,
            "delete",
            "a message is lost if another one with its key comes before it was read",
            False,
        ),
        Demand(
            topic,
            "max.message.bytes",
            _at_most(max_bytes),
            str(max_bytes),
            "larger messages than FRAUD_MAX_MESSAGE_BYTES may be cut when they are rejected",
            False,
        ),
    ]


def _of_control(topic: str) -> list[Demand]:
    return [
        *_kept_whole(
            topic,
            "compaction would keep the last of several policies under a key, and no list as it was",
            "what is deleted from it is no longer in force, and cannot be shown any more",
        ),
        Demand(
            topic,
            "max.message.bytes",
            _at_least(MAX_CONTROL_BYTES),
            str(MAX_CONTROL_BYTES),
            "large policies cannot be written to it",
            False,
        ),
    ]


def _of_labels(topic: str) -> list[Demand]:
    return _kept_whole(
        topic,
        "compaction would keep one of several labels of a transaction, and all of them are shown",
        "what is deleted from it is missing in profiles and in the quality that is told",
    )


def _kept_whole(topic: str, compacted: str, deleted: str) -> list[Demand]:
    """Return what keeps a topic as `KEPT_WHOLE` does; the consequences are those of the topic."""
    return [
        Demand(
            topic,
            "cleanup.policy",
            lambda policy: policy in ("", "delete"),
            "delete",
            compacted,
            True,
        ),
        Demand(topic, "retention.ms", _unlimited, "-1", deleted, True),
        Demand(topic, "retention.bytes", _unlimited, "-1", deleted, True),
    ]


def _broker_timestamps(topic: str) -> Demand:
    return Demand(
        topic,
        "message.timestamp.type",
        lambda kind: kind == "LogAppendTime",
        "LogAppendTime",
        "a broker may refuse what a worker writes whose clock is wrong, or delete it early",
        False,
    )


def _compacted(topic: str) -> Demand:
    return Demand(
        topic,
        "cleanup.policy",
        lambda policy: policy == "compact",
        "compact",
        "what is deleted from it is forgotten by every worker that starts after it",
        True,
    )


async def misfits(settings: Settings, admin: AIOKafkaAdminClient) -> list[str]:
    """Return a sentence for each topic on which no worker may start, with the command to repair it.

    For demands that are not required, the sentence is logged as a warning. Topics that do not exist
    are left out. If the broker does not tell configurations, that is a warning, too. Raises
    `KafkaError`.
    """
    all_demands = demands(settings)
    found = await _configurations(admin, {demand.topic for demand in all_demands})
    unmet: defaultdict[tuple[str, bool], list[Demand]] = defaultdict(list)
    for demand in all_demands:
        value = found.get(demand.topic, {}).get(demand.option)
        if value is not None and not demand.suits(value):
            unmet[demand.topic, demand.required].append(demand)
    refusals = []
    for (topic, required), each in unmet.items():
        sentence = _sentence(settings, topic, found[topic], each)
        if required:
            refusals.append(sentence)
        else:
            log.warning(sentence)
    return refusals


async def _configurations(
    admin: AIOKafkaAdminClient, topics: Iterable[str]
) -> Mapping[str, Mapping[str, str]]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in sorted(topics)]
    try:
        responses = await admin.describe_configs(resources)
    except (kafka_errors.IncompatibleBrokerVersion, NotImplementedError) as exc:
        log.warning("the broker does not tell how topics are set, so that is not checked: %s", exc)
        return {}
    found: dict[str, dict[str, str]] = {}
    for response in responses:
        for code, message, _, topic, entries, *_ in response.resources:
            error = kafka_errors.for_code(code)
            if error is kafka_errors.NoError:
                found[topic] = {option: value or "" for option, value, *_ in entries}
            elif error is not kafka_errors.UnknownTopicOrPartitionError:
                log.warning(
                    "how topic %s is set cannot be checked: %s %s", topic, error.__name__, message
                )
    return found


def _sentence(
    settings: Settings, topic: str, actual: Mapping[str, str], unmet: list[Demand]
) -> str:
    now = ", ".join(f"{each.option}={actual[each.option]}" for each in unmet)
    why = "; ".join(dict.fromkeys(each.why for each in unmet))
    config = ",".join(f"{each.option}={each.value}" for each in unmet)
    return (
        f"topic {topic} is set to {now}: {why}. Set it right with: kafka-configs.sh "
        f"--bootstrap-server {','.join(settings.bootstrap_servers)} --alter --entity-type topics "
        f"--entity-name {topic} --add-config {config}"
    )


def _not_compacted(policy: str) -> bool:
    return "compact" not in policy


def _unlimited(value: str) -> bool:
    return value == "-1"


def _at_least(minimum: int) -> Callable[[str], bool]:
    return lambda value: not value.isdecimal() or int(value) >= minimum


def _at_most(maximum: int) -> Callable[[str], bool]:
    return lambda value: not value.isdecimal() or int(value) <= maximum
