"""A repeated message passes once in a while, and no other message is suppressed."""

from __future__ import annotations

import logging
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from fraudapp.kafka.client_log import MAX_MESSAGES, REPEAT_SECONDS, RepeatFilter

MESSAGES = st.sampled_from(["broken", "also broken", "100% broken"])
STEPS = st.floats(0, REPEAT_SECONDS / 2)


def record(message: str, level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord("aiokafka", level, "", 0, "it is %s", (message,), None)


@given(st.lists(st.tuples(MESSAGES, STEPS), max_size=60))
def test_a_message_passes_at_first_and_then_once_in_a_while(
    lines: list[tuple[str, float]],
) -> None:
    now = 0.0
    repeats = RepeatFilter(lambda: now)
    passed_at: dict[str, float] = {}
    suppressed: Counter[str] = Counter()
    for message, step in lines:
        now += step
        each = record(message)
        passed = repeats.filter(each)
        due = message not in passed_at or now - passed_at[message] >= REPEAT_SECONDS
        assert passed == due
        if not passed:
            suppressed[message] += 1
            continue
        passed_at[message] = now
        text = each.getMessage()
        assert text.startswith(f"it is {message}")
        told = f"(and {suppressed[message]} more times" in text
        assert told == bool(suppressed.pop(message, 0))


def test_debug_messages_always_pass() -> None:
    repeats = RepeatFilter()
    assert all(repeats.filter(record("broken", logging.DEBUG)) for _ in range(3))


def test_the_messages_remembered_are_bounded() -> None:
    now = 0.0
    repeats = RepeatFilter(lambda: now)
    for number in range(3 * MAX_MESSAGES):
        now += REPEAT_SECONDS / 10
        assert repeats.filter(record(f"broken {number}"))
    assert len(repeats._passed) <= MAX_MESSAGES + 1
