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

from fraudapp.kafka.producer import largest_letter
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
    decisions, letters = settings.decisions_topic, settings.dead_letters_topic
    inputs = settings.transactions_topic
    decided_again = "what is deleted from it can be decided again"
    found = [
        Demand(
            decisions,
            "cleanup.policy",
            lambda policy: policy in ("", "delete"),
            "delete",
            "compaction keeps the last decision under an id, and the first is the one that counts",
            True,
        ),
        Demand(decisions, "retention.ms", _unlimited, "-1", decided_again, True),
        Demand(decisions, "retention.bytes", _unlimited, "-1", decided_again, True),
        Demand(
            decisions,
            "max.message.bytes",
            _at_least(SMALLEST_LIMIT),
            "1048588",
            "decisions could not be written to it",
            True,
        ),
        Demand(
            letters,
            "cleanup.policy",
            lambda policy: "compact" not in policy,
            "delete",
            "it would take no letter without a key, and keep one for each key",
            True,
        ),
        Demand(
            letters,
            "max.message.bytes",
            _at_least(largest_letter(settings)),
            str(largest_letter(settings)),
            "larger dead letters are cut",
            False,
        ),
        Demand(
            inputs,
            "cleanup.policy",
            lambda policy: "compact" not in policy,
            "delete",
            "a message is lost if another one with its key comes before it was read",
            False,
        ),
        Demand(
            inputs,
            "max.message.bytes",
            _at_most(settings.max_message_bytes),
            str(settings.max_message_bytes),
            "larger messages than FRAUD_MAX_MESSAGE_BYTES may be cut when they are rejected",
            False,
        ),
    ]
    found += [
        Demand(
            topic,
            "message.timestamp.type",
            lambda kind: kind == "LogAppendTime",
            "LogAppendTime",
            "a broker may refuse what a worker writes whose clock is wrong, or delete it early",
            False,
        )
        for topic in (decisions, letters, settings.progress_topic)
    ]
    tables = [
        f"{settings.app_id}-{table}-changelog" for table in ("decision-counts", "partition-reports")
    ]
    for topic in (*tables, settings.progress_topic):
        found.append(
            Demand(
                topic,
                "cleanup.policy",
                lambda policy: policy == "compact",
                "compact",
                "what is deleted from it is forgotten by every worker that starts after it",
                True,
            )
        )
    return found


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


def _unlimited(value: str) -> bool:
    return value == "-1"


def _at_least(minimum: int) -> Callable[[str], bool]:
    return lambda value: not value.isdecimal() or int(value) >= minimum


def _at_most(maximum: int) -> Callable[[str], bool]:
    return lambda value: not value.isdecimal() or int(value) <= maximum
