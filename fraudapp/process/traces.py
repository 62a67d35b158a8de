"""Which request what is done, logged and answered belongs to."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass
class Trace:
    """A request by the names it has: its own, and those of W3C Trace Context."""

    request_id: str
    trace_id: str
    span_id: str
    """Of what is done here."""
    sampled: bool = False
    ended: bool = False
    """Whether it is dealt with; tasks that it has begun may go on for others."""


_current: Final[ContextVar[Trace | None]] = ContextVar("trace", default=None)


def enter(trace: Trace) -> None:
    """Note that what this task does from now on is for this request."""
    _current.set(trace)


def current() -> Trace | None:
    """Return that of the request for which this task does what it does, the answer included."""
    return _current.get()
