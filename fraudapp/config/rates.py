"""How many requests there may be in which time."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import limits

DAY: Final = 24 * 3600
MOST: Final = 1_000_000_000
_FORM: Final = (
    "write N/second, N/minute, N/hour or N/day, such as 100/second; several as 100/second;1000/hour"
)
_TIMES: Final = re.compile(r"(?:/|per)\s*([0-9]+)", re.IGNORECASE)


class Rate(NamedTuple):
    """At most so many in so many seconds."""

    amount: int
    seconds: int


def parse(text: str) -> list[Rate]:
    """Read `100/second`, or several that all hold: `100/second;1000/hour`.

    Raises `ValueError` for what is no rate, lets nothing through or holds for longer than a day.
    """
    try:
        items = limits.parse_many(text)
        times = [int(each) for each in _TIMES.findall(text)]
    except ValueError:
        raise ValueError(_FORM) from None
    if any(item.amount < 1 for item in items):
        raise ValueError("0 would refuse every request; unset it for no limit")
    if 0 in times:  # which `limits` takes as 1
        raise ValueError("no time at all is no time to count in; " + _FORM)
    rates = [Rate(item.amount, item.get_expiry()) for item in items]
    if any(rate.amount > MOST for rate in rates):
        raise ValueError(f"more than {MOST} is no limit; unset it for none")
    if any(rate.seconds > DAY for rate in rates):
        raise ValueError("who was refused would wait for longer than a day; " + _FORM)
    return rates
