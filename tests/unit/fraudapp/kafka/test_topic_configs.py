"""A topic whose configuration would lose data is refused; one that only costs is a warning."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.errors import IncompatibleBrokerVersion, TopicAuthorizationFailedError
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.kafka.producer import max_dead_letter_bytes
from fraudapp.kafka.topic_configs import SMALLEST_LIMIT, Demand, demands, misfits
from fraudapp.settings import load
from tests.support.memory import MemoryBroker
from tests.support.memory_clients import MemoryAdmin

SETTINGS = load({"FRAUD_BROKER_URL": "kafka://one:9092;two:9092"})
ALL = {(each.topic, each.option): each for each in demands(SETTINGS)}
DECISIONS, LETTERS = SETTINGS.decisions_topic, SETTINGS.dead_letters_topic
INPUTS, PROGRESS = SETTINGS.transactions_topic, SETTINGS.progress_topic
CONTROL = SETTINGS.control_topic
LIMIT = "max.message.bytes"
POLICY = "cleanup.policy"


def suits(topic: str, option: str, value: str) -> bool:
    return ALL[topic, option].suits(value)


@pytest.fixture
def admin() -> MemoryAdmin:
    """A broker whose topics are as they have to be."""
    admin = MemoryAdmin(MemoryBroker({}))
    for (topic, option), demand in ALL.items():
        admin.configs.setdefault(topic, {})[option] = demand.value
    return admin


async def found(admin: MemoryAdmin) -> list[str]:
    client: Any = admin
    return await misfits(SETTINGS, client)


def test_no_option_of_a_topic_has_two_demands() -> None:
    assert len(ALL) == len(demands(SETTINGS))


@pytest.mark.parametrize("demand", ALL.values(), ids=lambda each: f"{each.topic}-{each.option}")
def test_the_repair_command_sets_a_value_that_suits(demand: Demand) -> None:
    assert demand.suits(demand.value)


@given(st.integers(0, 10 * SMALLEST_LIMIT))
def test_the_decisions_topic_has_to_take_the_largest_decision(size: int) -> None:
    assert suits(DECISIONS, LIMIT, str(size)) is (size >= SMALLEST_LIMIT)


@given(st.integers(0, 3 * max_dead_letter_bytes(SETTINGS)))
def test_the_dead_letter_topic_takes_more_than_inputs_may_have(size: int) -> None:
    assert suits(LETTERS, LIMIT, str(size)) is (size >= max_dead_letter_bytes(SETTINGS))
    assert suits(INPUTS, LIMIT, str(size)) is (size <= SETTINGS.max_message_bytes)


@given(st.text().filter(lambda text: not text.isdecimal()))
def test_a_limit_that_is_no_number_is_not_judged(value: str) -> None:
    for topic in (DECISIONS, LETTERS, INPUTS):
        assert suits(topic, LIMIT, value)


@pytest.mark.parametrize(
    ("policy", "decisions", "letters", "inputs", "progress"),
    [
        ("delete", True, True, True, False),
        ("", True, True, True, False),
        ("compact", False, False, False, True),
        ("compact,delete", False, False, False, False),
    ],
)
def test_each_topic_has_a_policy_under_which_it_loses_nothing(
    policy: str, decisions: bool, letters: bool, inputs: bool, progress: bool
) -> None:
    assert suits(DECISIONS, POLICY, policy) is decisions
    assert suits(CONTROL, POLICY, policy) is decisions
    assert suits(LETTERS, POLICY, policy) is letters
    assert suits(INPUTS, POLICY, policy) is inputs
    assert suits(PROGRESS, POLICY, policy) is progress


@pytest.mark.parametrize("option", ["retention.ms", "retention.bytes"])
def test_decisions_and_policies_are_kept_for_ever(option: str) -> None:
    for topic in (DECISIONS, CONTROL):
        assert suits(topic, option, "-1")
        assert not suits(topic, option, "604800000")
        assert ALL[topic, option].required


async def test_topics_that_are_as_they_have_to_be_are_not_mentioned(
    admin: MemoryAdmin, caplog: pytest.LogCaptureFixture
) -> None:
    assert await found(admin) == []
    assert caplog.text == ""


async def test_topics_that_do_not_exist_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    assert await found(MemoryAdmin(MemoryBroker({}))) == []
    assert caplog.text == ""


async def test_options_that_the_broker_does_not_tell_are_left_out(admin: MemoryAdmin) -> None:
    admin.configs = {topic: {} for topic in admin.configs}
    assert await found(admin) == []


async def test_a_topic_that_would_lose_data_is_refused_with_the_command_that_repairs_it(
    admin: MemoryAdmin, caplog: pytest.LogCaptureFixture
) -> None:
    admin.configs[DECISIONS] |= {POLICY: "compact", "retention.ms": "1", "retention.bytes": "2"}
    (sentence,) = await found(admin)
    assert sentence.startswith(
        f"topic {DECISIONS} is set to {POLICY}=compact, retention.ms=1, retention.bytes=2: "
    )
    assert sentence.count("what is deleted from it can be decided again") == 1
    assert sentence.endswith(
        "kafka-configs.sh --bootstrap-server one:9092,two:9092 --alter --entity-type topics "
        f"--entity-name {DECISIONS} --add-config "
        f"{POLICY}=delete,retention.ms=-1,retention.bytes=-1"
    )
    assert caplog.text == ""


async def test_a_topic_that_only_costs_is_a_warning(
    admin: MemoryAdmin, caplog: pytest.LogCaptureFixture
) -> None:
    admin.configs[LETTERS][LIMIT] = "1000"
    assert await found(admin) == []
    assert f"topic {LETTERS} is set to {LIMIT}=1000: larger dead letters are cut" in caplog.text


async def test_what_is_refused_and_what_is_warned_of_are_told_apart_in_one_topic(
    admin: MemoryAdmin, caplog: pytest.LogCaptureFixture
) -> None:
    admin.configs[LETTERS] |= {LIMIT: "1000", POLICY: "compact"}
    (sentence,) = await found(admin)
    assert POLICY in sentence
    assert LIMIT not in sentence
    assert LIMIT in caplog.text
    assert POLICY not in caplog.text


async def test_every_topic_that_does_not_fit_has_a_sentence(admin: MemoryAdmin) -> None:
    required = {topic for (topic, _), each in ALL.items() if each.required}
    assert len(required) == 10
    for topic in required:
        admin.configs[topic][POLICY] = "compact,delete"
    assert {each.split(" ")[1] for each in await found(admin)} == required


@pytest.mark.parametrize("failure", [IncompatibleBrokerVersion, NotImplementedError])
async def test_a_broker_that_tells_no_configurations_is_a_warning(
    admin: MemoryAdmin, failure: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    admin.unanswered = failure("too old")
    assert await found(admin) == []
    assert "does not tell how topics are set, so that is not checked: " in caplog.text
    assert "too old" in caplog.text


async def test_a_topic_whose_configuration_may_not_be_seen_is_a_warning_and_no_other_is_left_out(
    admin: MemoryAdmin, caplog: pytest.LogCaptureFixture
) -> None:
    admin.codes[DECISIONS] = TopicAuthorizationFailedError.errno
    admin.configs[DECISIONS][POLICY] = "compact"
    admin.configs[PROGRESS][POLICY] = "delete"
    (sentence,) = await found(admin)
    assert sentence.startswith(f"topic {PROGRESS} ")
    assert f"how topic {DECISIONS} is set cannot be checked" in caplog.text
    assert "TopicAuthorizationFailedError why" in caplog.text
