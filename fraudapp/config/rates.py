"""Rate limits of HTTP requests."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import limits

MAX_PERIOD_SECONDS: Final = 24 * 3600
"""Seconds over which requests are counted, at most."""
MAX_REQUESTS: Final = 1_000_000_000
"""Requests in a period; a larger number would limit nobody."""
_FORM: Final = (
    "write N/second, N/minute, N/hour or N/day, such as 100/second; several as 100/second;1000/hour"
)
_MULTIPLES: Final = re.compile(r"(?:/|per)\s*([0-9]+)", re.IGNORECASE)


class Rate(NamedTuple):
    """At most `amount` requests in `seconds`."""

    amount: int
    seconds: int


def parse(text: str) -> list[Rate]:
    """Parse `100/second`, or several rates that all apply: `100/second;1000/hour`.

    Raises `ValueError` for a text that is no rate, and for a rate that would refuse every request
    or spans more than a day.
    """
    try:
        items = limits.parse_many(text)
        multiples = [int(each) for each in _MULTIPLES.findall(text)]
    except ValueError:
        raise ValueError(_FORM) from None
    if any(item.amount < 1 for item in items):
        raise ValueError("0 would refuse every request; unset it for no limit")
    if 0 in multiples:  # `limits` reads it as 1
        raise ValueError("a period of 0 is no period; " + _FORM)
    rates = [Rate(item.amount, item.get_expiry()) for item in items]
    if any(rate.amount > MAX_REQUESTS for rate in rates):
        raise ValueError(f"more than {MAX_REQUESTS} is no limit; unset it for none")
    if any(rate.seconds > MAX_PERIOD_SECONDS for rate in rates):
        raise ValueError("a refused caller would wait for longer than a day; " + _FORM)
    return rates
