"""A service that follows a topic survives reads that fail, and reports them."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from fraudapp.kafka.following import POLL_MS, RETRY_SECONDS, next_records
from fraudapp.operation import Operation


class Service:
    """A service that records how long it is to sleep, and does not."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Consumer:
    """Returns or raises one answer after the other."""

    def __init__(self, *answers: Any) -> None:
        self._answers = iter(answers)

    async def getmany(self, *, timeout_ms: int) -> Any:
        assert timeout_ms == POLL_MS
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_records_are_returned_as_they_were_fetched() -> None:
    service: Any = Service()
    fetched = {"a partition": ["a record"]}
    consumer: Any = Consumer(fetched, {})
    operation = Operation("testing")
    assert await next_records(service, consumer, operation) is fetched
    assert await next_records(service, consumer, operation) == {}
    assert service.slept == []
    assert operation.reason is None


async def test_a_read_that_fails_is_reported_until_one_succeeds() -> None:
    service: Any = Service()
    consumer: Any = Consumer(KafkaConnectionError("gone"), KafkaConnectionError("gone"), {})
    operation = Operation("testing")
    for failures in (1, 2):
        assert await next_records(service, consumer, operation) is None
        assert operation.reason == "KafkaConnectionError: gone"
        assert service.slept == [RETRY_SECONDS] * failures
    assert await next_records(service, consumer, operation) == {}
    assert operation.reason is None
    assert len(service.slept) == 2


async def test_an_error_that_is_not_of_kafka_is_raised() -> None:
    service: Any = Service()
    consumer: Any = Consumer(ZeroDivisionError())
    operation = Operation("testing")
    with pytest.raises(ZeroDivisionError):
        await next_records(service, consumer, operation)
    assert operation.reason is None
    assert service.slept == []
