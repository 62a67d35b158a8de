"""What is said over and over is said once in a while, and nothing else is left out."""

from __future__ import annotations

import logging
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from fraudapp.kafka.client_log import EVERY, MOST, Seldom

SENTENCES = st.sampled_from(["broken", "also broken", "100% broken"])
STEPS = st.floats(0, EVERY / 2)


def record(sentence: str, level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord("aiokafka", level, "", 0, "it is %s", (sentence,), None)


@given(st.lists(st.tuples(SENTENCES, STEPS), max_size=60))
def test_a_sentence_is_said_at_once_and_then_once_in_a_while(
    lines: list[tuple[str, float]],
) -> None:
    now = 0.0
    seldom = Seldom(lambda: now)
    said: dict[str, float] = {}
    left_out: Counter[str] = Counter()
    for sentence, step in lines:
        now += step
        each = record(sentence)
        passed = seldom.filter(each)
        assert passed == (sentence not in said or now - said[sentence] >= EVERY)
        if not passed:
            left_out[sentence] += 1
            continue
        said[sentence] = now
        text = each.getMessage()
        assert text.startswith(f"it is {sentence}")
        assert (f"(and {left_out[sentence]} times more" in text) == bool(left_out.pop(sentence, 0))


def test_debugging_leaves_nothing_out() -> None:
    seldom = Seldom()
    assert all(seldom.filter(record("broken", logging.DEBUG)) for _ in range(3))


def test_no_more_is_remembered_than_was_said_lately() -> None:
    now = 0.0
    seldom = Seldom(lambda: now)
    for number in range(3 * MOST):
        now += EVERY / 10
        assert seldom.filter(record(f"broken {number}"))
    assert len(seldom._said) <= MOST + 1
