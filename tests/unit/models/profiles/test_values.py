"""Values of profiles are declared in one form, and what is no such form is told."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.profiles.values import Value, parse
from models.profiles.windows import DAY, HOUR, MINUTES, Window, duration, levels, problem


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("count(receiver, 1h)", Value("count", "receiver", Window(HOUR))),
        (" sum ( a_1 ,5m ) ", Value("sum", "a_1", Window(MINUTES))),
        ("fraud_rate(r, 30d, 7d)", Value("fraud_rate", "r", Window(30 * DAY, 7 * DAY))),
        ("distinct(r, s, 24h)", Value("distinct", "r", Window(DAY), "s")),
        ("seconds_since_last(s)", Value("seconds_since_last", "s")),
    ],
)
def test_a_value_is_read(text: str, value: Value) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "must be such as count"),
        ("count", "must be such as count"),
        ("count(a, 1h) + 1", "must be such as count"),
        ("count(a, count(b, 1h))", "must be such as count"),
        ("median(a, 1h)", "there is no median; there are count, sum"),
        ("count(a)", "count is written count(KEY, WINDOW)"),
        ("count(a, 1h, 1h, 1h)", "count is written"),
        ("count(, 1h)", "count is written"),
        ("distinct(a, 1h)", "distinct is written distinct(KEY, FIELD, WINDOW)"),
        ("days_since_first(a, 1d)", "days_since_first is written days_since_first(KEY)"),
        ("count(a, hour)", "'hour' is no length of time"),
        ("count(a, 0h)", "'0h' is no length of time"),
        ("count(a, 1.5h)", "no length of time"),
        ("count(a, 7m)", "must be whole multiples of 5m"),
        ("count(a, 90m)", "must be whole multiples of 1h"),
        ("count(a, 36h)", "must be whole multiples of 1d"),
        ("count(a, 20h, 5h)", "must be whole multiples of 1d"),
        ("count(a, 91d)", "reaches further back than 90d"),
        ("count(a, 60d, 31d)", "reaches further back than 90d"),
    ],
)
def test_what_is_no_value_is_told(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        parse(text)


@given(st.text(max_size=60) | st.from_regex(r"\w+\([\w, ]*\)", fullmatch=True))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ValueError):
        value = parse(text)
        assert value.window is None or problem(value.window) is None


@given(st.lists(st.sampled_from([300, 3_600, 7_200, 86_400, 30 * 86_400]), max_size=4))
def test_levels_hold_all_windows(lengths: list[int]) -> None:
    windows = [Window(each) for each in lengths]
    found = levels(windows)
    assert all(found.finest <= each.width and found.kept >= each.span for each in windows)
    assert found.kept % DAY == 0


def test_a_duration_has_a_unit() -> None:
    assert [duration(each) for each in ("5m", "1h", "30d", "5", "m", "-1h", "1H")] == [
        *(300, 3_600, 2_592_000),
        *[None] * 4,
    ]
