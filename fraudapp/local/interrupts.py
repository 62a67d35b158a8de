"""Signals that ask a process to end: the first one interrupts it, and then it may clean up."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that ask a process to end."""


@contextmanager
def one_interrupt() -> Iterator[None]:
    """Raise `KeyboardInterrupt` in the body on the first of `SIGNALS`, and ignore all further ones.

    Call it in the main thread. The handlers of before are restored at the end.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        for other in SIGNALS:
            signal.signal(other, signal.SIG_IGN)
        raise KeyboardInterrupt

    handlers = {number: signal.signal(number, interrupt) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
