"""The request that the current task works for; log lines and answers carry its ids."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass
class Trace:
    """The ids of a request: its own id, and those of W3C Trace Context."""

    request_id: str
    trace_id: str
    span_id: str
    """Span of the work that is done here."""
    sampled: bool = False
    ended: bool = False
    """Whether the request was answered. Tasks that it has begun may go on for other requests."""


_current: Final[ContextVar[Trace | None]] = ContextVar("trace", default=None)


def enter(trace: Trace) -> None:
    """Let the current task, and tasks it begins from now on, work for this request."""
    _current.set(trace)


def current() -> Trace | None:
    """Return the ids of the request that the current task works for; None if there is none."""
    return _current.get()
