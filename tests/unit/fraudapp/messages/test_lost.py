"""Headers on the lost parts of a message are believed only if `reroute` wrote them."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import ConsumerRecord

from fraudapp.messages.inputs import input_of
from models.inputs import Position

ORIGIN = ("origin", b"t/3/41")
LOST = [("raw-bytes", b"123"), ("raw-sha256", b"a" * 64), ("raw-form", b"re-encoded")]


def record(*headers: Any) -> ConsumerRecord:
    return ConsumerRecord("t", 1, 5, -1, 0, b"k", b"v", None, 1, 1, tuple(headers))


def test_a_rerouted_record_keeps_the_position_where_it_was_produced() -> None:
    read = input_of(record(ORIGIN, *LOST), 4)
    assert (read.position, read.origin) == (Position("t", 1, 5), Position("t", 3, 41))
    assert list(read.lost) == LOST


@pytest.mark.parametrize(
    "headers",
    [
        LOST,
        [("origin", b"other/3/41"), *LOST],
        [("origin", None), *LOST],
        [("origin", b"t/3/41\n"), *LOST],
        [("origin", b"t/-1/41"), *LOST],
        [ORIGIN, ("origin", b""), *LOST],
    ],
)
def test_headers_of_other_producers_are_ignored(headers: Any) -> None:
    read = input_of(record(*headers), 4)
    assert (read.origin, read.lost) == (Position("t", 1, 5), ())


@pytest.mark.parametrize(
    "header",
    [
        ("raw-bytes", None),
        ("raw-bytes", b"-1"),
        ("raw-bytes", b"\xb2"),
        ("raw-bytes", b"9" * 19),
        ("raw-sha256", b"A" * 64),
        ("raw-sha256", b"a" * 65),
        ("raw-form", b"cut"),
        ("key-bytes", b"1\n"),
        ("reason", b"conflict"),
    ],
)
def test_headers_of_another_form_are_left_out(header: Any) -> None:
    assert input_of(record(ORIGIN, header), 4).lost == ()
