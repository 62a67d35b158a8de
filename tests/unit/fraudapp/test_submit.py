"""A transaction that was sent over HTTP is known from before it is sent."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError
from faust.exceptions import ProducerSendError

from fraudapp import submit as submitting
from fraudapp.sinks.base import SinkUnavailable
from fraudapp.submit import is_accepted, submit
from tests.support.transactions import transaction
from tests.support.views import PATIENCE, Bench, bench

SENT = [transaction("a"), transaction("b")]


@pytest.fixture
def here() -> Bench:
    return bench(FRAUD_TRANSACTIONS_TOPIC="in")


async def test_ids_are_noted_before_anything_is_sent(here: Bench) -> None:
    await submit(here.worker, SENT)
    assert here.parts.events == [("note", "a", "b"), ("send", "in", "a"), ("send", "in", "b")]
    assert here.producer.sent == SENT


async def test_this_worker_knows_them_before_redis_does(
    here: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = []

    async def note(ids: list[str]) -> None:
        known.append([here.worker.waiters.accepted(each) for each in ids])

    monkeypatch.setattr(here.parts.pending, "note", note)
    await submit(here.worker, SENT)
    assert known == [[True, True]]


async def test_sending_returns_once_the_broker_has_them(here: Bench) -> None:
    here.producer.silent = True
    sending = asyncio.create_task(submit(here.worker, SENT))
    while len(here.parts.events) < 3:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)
    assert not sending.done()
    sending.cancel()
    await asyncio.wait([sending])


@pytest.mark.parametrize("failure", [KafkaConnectionError("away"), KafkaTimeoutError()])
async def test_what_the_broker_refuses_is_told_and_stays_noted(
    here: Bench, failure: Exception
) -> None:
    here.producer.failure = failure
    with pytest.raises(type(failure)):
        await submit(here.worker, SENT)
    assert await is_accepted(here.worker, "a")


async def test_a_failure_that_faust_has_wrapped_is_told_as_it_was(
    here: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def send(*_: object) -> None:
        raise ProducerSendError("wrapped") from KafkaConnectionError("away")

    monkeypatch.setattr(here.producer, "send", send)
    with pytest.raises(KafkaConnectionError, match="away"):
        await submit(here.worker, SENT)


async def test_a_silent_broker_is_given_up_and_ids_stay_noted(
    here: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitting, "SUBMIT_TIMEOUT", 0.01)
    here.producer.silent = True
    with pytest.raises(KafkaTimeoutError, match=r"no answer within 0\.01 s"):
        await asyncio.wait_for(submit(here.worker, SENT), PATIENCE)
    assert await is_accepted(here.worker, "b")


async def test_redis_is_asked_about_what_this_worker_has_not_accepted(here: Bench) -> None:
    here.parts.pending.known = {"elsewhere"}
    assert await is_accepted(here.worker, "elsewhere")
    assert not await is_accepted(here.worker, "nobody")
    assert here.parts.pending.asked == ["elsewhere", "nobody"]
    await submit(here.worker, SENT)
    assert await is_accepted(here.worker, "a")
    assert len(here.parts.pending.asked) == 2


async def test_if_redis_does_not_answer_nobody_is_told_that_it_was_not_accepted(
    here: Bench,
) -> None:
    here.parts.pending.failure = SinkUnavailable("redis: away")
    with pytest.raises(SinkUnavailable):
        await is_accepted(here.worker, "a")
