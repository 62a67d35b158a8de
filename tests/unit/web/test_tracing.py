"""The ids of a request are kept if they are well-formed."""

from __future__ import annotations

import re

import pytest
from multidict import CIMultiDict

from web.tracing import begun, headers

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01"


def told(*given: tuple[str, str]) -> dict[str, str]:
    return headers(begun(CIMultiDict(given)))


@pytest.mark.parametrize("given", ["a", "A-1_2.3~4:5/6+7=8@9,0|", "x" * 128])
def test_an_id_is_taken(given: str) -> None:
    assert told(("X-Request-ID", given))["X-Request-ID"] == given


@pytest.mark.parametrize(
    "given", ["", " ", "a b", "x" * 129, "é", "a\x1b", 'a"', "<a>", "{a}", "a\n"]
)
def test_what_is_no_id_is_replaced(given: str) -> None:
    assert re.fullmatch("[0-9a-f]{32}", told(("X-Request-ID", given))["X-Request-ID"])


def test_of_two_ids_neither_is_taken() -> None:
    assert told(("X-Request-ID", "a"), ("x-request-id", "a"))["X-Request-ID"] != "a"


@pytest.mark.parametrize(
    ("given", "sampled"),
    [
        (GOOD, "01"),
        (f"00-{TRACE}-{SPAN}-00", "00"),
        (f"00-{TRACE}-{SPAN}-fe", "00"),
        (f"00-{TRACE}-{SPAN}-ff", "01"),
        (f"cc-{TRACE}-{SPAN}-01", "01"),
        (f"cc-{TRACE}-{SPAN}-01-what.is.to.come", "01"),
    ],
)
def test_a_trace_goes_on_with_a_span_of_ours(given: str, sampled: str) -> None:
    answered = told(("traceparent", given))["traceparent"].split("-")
    assert (answered[0], answered[1], answered[3]) == ("00", TRACE, sampled)
    assert re.fullmatch("[0-9a-f]{16}", answered[2])
    assert answered[2] != SPAN


@pytest.mark.parametrize(
    "given",
    [
        "",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"{GOOD},{GOOD}",
    ],
)
def test_what_is_no_trace_begins_a_new_one(given: str) -> None:
    answered = told(("traceparent", given))["traceparent"]
    assert TRACE not in answered
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-00", answered)
    assert TRACE not in told(("traceparent", GOOD), ("traceparent", GOOD))["traceparent"]
