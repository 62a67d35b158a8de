"""Values of profiles as a schema declares them: `count(receiver, 1h)`.

    count(KEY, WINDOW[, DELAY])         transactions
    sum(KEY, WINDOW[, DELAY])           their amounts
    mean(KEY, WINDOW[, DELAY])          unknown without a transaction
    frauds(KEY, WINDOW[, DELAY])        those that are known to be fraud by now
    fraud_rate(KEY, WINDOW[, DELAY])    their share; unknown without a transaction
    distinct(KEY, FIELD, WINDOW)        different values of another field, about
    seconds_since_last(KEY)             whole seconds; unknown if there was none
    days_since_first(KEY)               whole days in UTC, as far back as profiles go

KEY is a field, or a role: `sender`, `receiver`. The transaction itself does not count.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, cast, get_args

from models.profiles.windows import Window, duration, problem

Function = Literal[
    "count",
    "sum",
    "mean",
    "frauds",
    "fraud_rate",
    "distinct",
    "seconds_since_last",
    "days_since_first",
]
FUNCTIONS: Final[tuple[Function, ...]] = get_args(Function)
AMOUNTS: Final = ("sum", "mean")
"""Functions of the amount."""
FRAUDS: Final = ("frauds", "fraud_rate")
"""Functions of labels."""
_SINCE: Final = ("seconds_since_last", "days_since_first")
_CALL: Final = re.compile(r"\s*(\w+)\s*\(([^()]*)\)\s*", re.ASCII)


class Value(NamedTuple):
    """One value, by the fields that it is of."""

    function: Function
    key: str
    window: Window | None = None
    """None for times since the last and the first transaction."""
    of: str | None = None
    """With `distinct`: the field whose values are counted."""


def parse(text: str) -> Value:
    """Return the value that a text declares, with names as written; raises `ValueError`."""
    call = _CALL.fullmatch(text)
    if call is None:
        raise ValueError("must be such as count(receiver, 1h)")
    name, arguments = call[1], [each.strip() for each in call[2].split(",")]
    if name not in FUNCTIONS:
        raise ValueError(f"there is no {name:.80}; there are {', '.join(FUNCTIONS)}")
    function = cast("Function", name)
    if function in _SINCE:
        _check(function, arguments, "(KEY)", 1, 1)
        return Value(function, arguments[0])
    if function == "distinct":
        _check(function, arguments, "(KEY, FIELD, WINDOW)", 3, 3)
        return Value(function, arguments[0], _window(arguments[2:]), arguments[1])
    _check(function, arguments, "(KEY, WINDOW) or (KEY, WINDOW, DELAY)", 2, 3)
    return Value(function, arguments[0], _window(arguments[1:]))


def _check(name: str, arguments: list[str], form: str, least: int, most: int) -> None:
    if not least <= len(arguments) <= most or not all(arguments):
        raise ValueError(f"{name} is written {name}{form}")


def _window(texts: list[str]) -> Window:
    lengths = []
    for text in texts:
        if (seconds := duration(text)) is None:
            raise ValueError(f"{text!r:.80} is no length of time such as 5m, 1h or 30d")
        lengths.append(seconds)
    window = Window(*lengths)
    if wrong := problem(window):
        raise ValueError(f"the window {', '.join(texts)} {wrong}")
    return window
