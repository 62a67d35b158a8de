"""Where an input says it comes from is believed only if a worker can have written it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import ConsumerRecord

from fraudapp.messages.inputs import input_of
from fraudapp.messages.publish import ORIGIN
from models.inputs import Position

PARTITIONS = 4
HERE = Position("transactions", 1, 7)


def origin(*headers: Any) -> Position:
    record = SimpleNamespace(
        topic=HERE.topic,
        partition=HERE.partition,
        offset=HERE.offset,
        key=None,
        value=b"{}",
        headers=headers,
    )
    return input_of(cast("ConsumerRecord", record), PARTITIONS).origin


def test_a_message_that_was_sent_on_comes_from_another_partition() -> None:
    assert origin((ORIGIN, b"transactions/0/12")) == Position("transactions", 0, 12)
    assert origin(("else", None), (ORIGIN, b"transactions/0/12")).offset == 12


@pytest.mark.parametrize(
    "value",
    [
        b"transactions/1/12",  # where it is
        b"transactions/1/7",
        b"transactions/%d/12" % PARTITIONS,
        b"transactions/999999999/12",
        b"transactions/-1/12",
        b"transactions/0/-1",
        b"transactions/00/12",
        b"transactions/0/012",
        b"others/0/12",
        b"transactions/0",
        b"",
        b"\xff",
        "transactions/0/\u0661\u0662".encode(),
        None,
    ],
)
def test_any_other_header_of_that_name_is_the_producers_own(value: bytes | None) -> None:
    assert origin((ORIGIN, value)) == HERE


def test_a_header_that_comes_twice_is_the_producers_own() -> None:
    assert origin((ORIGIN, b"transactions/0/12"), (ORIGIN, b"transactions/0/12")) == HERE
    assert origin((ORIGIN, None), (ORIGIN, b"transactions/0/12")) == HERE


def test_without_headers_it_is_from_where_it_was_read() -> None:
    assert origin() == origin(("origins", b"transactions/0/12")) == HERE
