"""Topics that are missing are created, and those that are there have to fit the settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from aiokafka.errors import (
    InvalidReplicationFactorError,
    KafkaConnectionError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
)
from faust.types import TP

from fraudapp.kafka import topics
from fraudapp.kafka.clients import BrokerRefuses
from fraudapp.kafka.producer import max_dead_letter_bytes
from fraudapp.kafka.topic_configs import (
    BROKERS_CLOCK,
    KEPT_WHOLE,
    LATEST_KEPT,
    MAX_CONTROL_BYTES,
    demands,
)
from fraudapp.kafka.topics import BrokerUnavailable, TopicsMisfit, ensure
from fraudapp.settings import Settings, load
from tests.support.memory import MemoryBroker
from tests.support.memory_clients import MemoryAdmin

PARTITIONS = 3


class Cluster:
    """A broker, and what the application asks of it before it starts."""

    def __init__(self) -> None:
        self.settings = load({"FRAUD_TOPIC_PARTITIONS": str(PARTITIONS)})
        # There is no time to try many times. stamina warns of a timeout of 0.
        self.settings = self.settings.model_copy(update={"start_timeout": 0.001})
        self.inputs, self.decisions = (
            self.settings.transactions_topic,
            self.settings.decisions_topic,
        )
        self.broker = MemoryBroker({})
        self.admin = MemoryAdmin(self.broker)
        self.refuses: Exception | None = None
        """What a look at credentials and certificates raises."""

    async def ensure(self) -> None:
        await ensure(self.settings)
        assert not self.admin.running

    async def check_access(self, settings: Settings) -> None:
        if self.refuses is not None:
            raise self.refuses

    async def end_offsets(self, settings: Settings, partitions: Iterable[TP]) -> dict[TP, int]:
        return {tp: len(self.broker.topics[tp.topic][tp.partition]) for tp in partitions}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    cluster = Cluster()
    monkeypatch.setattr(topics, "AIOKafkaAdminClient", lambda **options: cluster.admin)
    monkeypatch.setattr(topics, "check_access", cluster.check_access)
    monkeypatch.setattr(topics, "end_offsets", cluster.end_offsets)
    return cluster


async def test_topics_that_are_missing_are_created_as_they_have_to_be(cluster: Cluster) -> None:
    await cluster.ensure()
    settings = cluster.settings
    created = {each.name: each for each in cluster.admin.created}
    assert {name: each.num_partitions for name, each in created.items()} == {
        settings.transactions_topic: PARTITIONS,
        settings.decisions_topic: PARTITIONS,
        settings.dead_letters_topic: PARTITIONS,
        settings.progress_topic: 1,
        settings.control_topic: 1,
        settings.labels_topic: PARTITIONS,
        settings.labelled_topic: PARTITIONS,
    }
    assert {each.replication_factor for each in created.values()} == {settings.topic_replicas}
    assert {name: each.topic_configs for name, each in created.items()} == {
        settings.transactions_topic: {"max.message.bytes": str(settings.max_message_bytes)},
        settings.decisions_topic: {**KEPT_WHOLE, **BROKERS_CLOCK},
        settings.dead_letters_topic: {
            "max.message.bytes": str(max_dead_letter_bytes(settings)),
            **BROKERS_CLOCK,
        },
        settings.progress_topic: {**LATEST_KEPT, **BROKERS_CLOCK},
        settings.control_topic: {
            "max.message.bytes": str(MAX_CONTROL_BYTES),
            **KEPT_WHOLE,
            **BROKERS_CLOCK,
        },
        settings.labels_topic: {**KEPT_WHOLE, **BROKERS_CLOCK},
        settings.labelled_topic: {**KEPT_WHOLE, **BROKERS_CLOCK},
    }


async def test_topics_that_were_created_fit_and_are_not_created_again(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    await cluster.ensure()
    for demand in demands(cluster.settings):
        given = cluster.admin.configs.get(demand.topic, {}).get(demand.option)
        assert given is None or demand.suits(given)
    await cluster.ensure()
    assert len(cluster.admin.created) == 7
    assert caplog.text == ""


async def test_only_the_topics_that_are_missing_are_created(cluster: Cluster) -> None:
    cluster.broker.topics[cluster.inputs] = [[] for _ in range(PARTITIONS)]
    await cluster.ensure()
    assert cluster.inputs not in {each.name for each in cluster.admin.created}
    assert len(cluster.admin.created) == 6


@pytest.mark.parametrize("raised", [False, True])
async def test_another_worker_may_be_quicker_to_create_a_topic(
    cluster: Cluster, raised: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = cluster.admin.create_topics

    async def late(new_topics: list[Any]) -> Any:
        await create(new_topics)
        if raised:
            raise TopicAlreadyExistsError(new_topics[0].name)
        return await create(new_topics)

    monkeypatch.setattr(cluster.admin, "create_topics", late)
    await cluster.ensure()
    assert len(cluster.admin.created) == 7


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (InvalidReplicationFactorError, "InvalidReplicationFactorError"),
        (TopicAuthorizationFailedError, "the broker's user needs CREATE on topic "),
    ],
)
async def test_a_topic_that_is_not_created_is_an_error_with_the_reason(
    cluster: Cluster, error: Any, told: str
) -> None:
    cluster.admin.codes[cluster.decisions] = error.errno
    with pytest.raises(BrokerUnavailable, match=f"cannot create topic {cluster.decisions}: ") as no:
        await cluster.ensure()
    assert told in str(no.value)
    assert not cluster.admin.running


@pytest.mark.parametrize("failure", [KafkaConnectionError("gone"), OSError("gone")], ids=repr)
async def test_a_broker_that_does_not_answer_is_an_error_that_names_the_setting(
    cluster: Cluster, failure: Exception
) -> None:
    cluster.admin.failures += [failure] * 99
    with pytest.raises(BrokerUnavailable, match="is the broker running, and reachable") as no:
        await cluster.ensure()
    assert str(no.value).startswith(f"FRAUD_BROKER_URL={cluster.settings.broker_url}: ")
    assert no.value.__cause__ is failure


async def test_a_broker_that_is_starting_is_tried_again(cluster: Cluster) -> None:
    cluster.settings = cluster.settings.model_copy(update={"start_timeout": 60.0})
    cluster.admin.failures.append(KafkaConnectionError("gone"))
    await cluster.ensure()
    assert len(cluster.admin.created) == 7


async def test_credentials_that_are_refused_are_not_tried_again(cluster: Cluster) -> None:
    cluster.settings = cluster.settings.model_copy(update={"start_timeout": 60.0})
    cluster.admin.failures += [KafkaConnectionError("closed")] * 2
    cluster.refuses = BrokerRefuses("the password is wrong")
    with pytest.raises(BrokerRefuses):
        await cluster.ensure()
    assert len(cluster.admin.failures) == 1


async def test_a_configuration_that_would_lose_data_is_refused_and_not_tried_again(
    cluster: Cluster,
) -> None:
    cluster.settings = cluster.settings.model_copy(update={"start_timeout": 60.0})
    await cluster.ensure()
    cluster.admin.configs[cluster.decisions]["retention.ms"] = "1"
    cluster.admin.configs[cluster.settings.progress_topic]["cleanup.policy"] = "delete"
    with pytest.raises(TopicsMisfit) as no:
        await cluster.ensure()
    assert [line.split(" ")[1] for line in str(no.value).split("\n")] == [
        cluster.decisions,
        cluster.settings.progress_topic,
    ]


async def put_partitions(cluster: Cluster, inputs: int, decisions: int) -> None:
    await cluster.ensure()
    cluster.broker.topics[cluster.inputs] = [[] for _ in range(inputs)]
    cluster.broker.topics[cluster.decisions] = [[] for _ in range(decisions)]


@pytest.mark.parametrize("decisions", [1, PARTITIONS - 1, PARTITIONS + 1])
async def test_the_decisions_topic_has_to_have_the_partitions_of_the_settings(
    cluster: Cluster, decisions: int
) -> None:
    await put_partitions(cluster, PARTITIONS, decisions)
    with pytest.raises(TopicsMisfit) as no:
        await cluster.ensure()
    assert str(no.value) == (
        f"topic {cluster.decisions} has {decisions} partitions, and FRAUD_TOPIC_PARTITIONS is "
        f"{PARTITIONS}; set it to {decisions}"
    )


@pytest.mark.parametrize(("used", "fits"), [(0, True), (PARTITIONS - 1, True), (PARTITIONS, False)])
async def test_partitions_added_to_the_decisions_topic_stay_unused(
    cluster: Cluster, used: int, fits: bool
) -> None:
    await put_partitions(cluster, PARTITIONS, PARTITIONS + 1)
    cluster.broker.put(cluster.decisions, 0, b"decision")
    cluster.broker.put(cluster.decisions, used, b"decision")
    if fits:
        await cluster.ensure()
    else:
        with pytest.raises(TopicsMisfit, match=f"set it to {PARTITIONS + 1}"):
            await cluster.ensure()


async def test_fewer_partitions_of_inputs_than_of_decisions_are_refused(cluster: Cluster) -> None:
    await put_partitions(cluster, PARTITIONS - 1, PARTITIONS)
    with pytest.raises(TopicsMisfit) as no:
        await cluster.ensure()
    assert str(no.value).endswith(f"--alter --topic {cluster.inputs} --partitions {PARTITIONS}")


async def test_a_topic_of_ones_own_is_looked_at_before_others_are_made(cluster: Cluster) -> None:
    cluster.broker.topics[cluster.inputs] = [[] for _ in range(PARTITIONS - 1)]
    with pytest.raises(TopicsMisfit) as no:
        await cluster.ensure()
    assert f"FRAUD_TOPIC_PARTITIONS is {PARTITIONS}: set it to {PARTITIONS - 1}" in str(no.value)
    assert cluster.admin.created == []


async def test_more_partitions_of_inputs_than_of_decisions_are_a_warning(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    await put_partitions(cluster, PARTITIONS + 2, PARTITIONS)
    await cluster.ensure()
    assert "records of the last 2 are sent on first" in caplog.text


async def test_topics_without_partitions_were_just_created(cluster: Cluster) -> None:
    await put_partitions(cluster, 0, 0)
    await cluster.ensure()
