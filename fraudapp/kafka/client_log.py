"""Limits how often the Kafka client may log the same message."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic
from typing import Final

REPEAT_SECONDS: Final = 10.0
"""Seconds until the same message of a logger is passed again."""
MAX_MESSAGES: Final = 1_000
"""Messages that the filter remembers; beyond it forgets those older than `REPEAT_SECONDS`."""


class RepeatFilter(logging.Filter):
    """Passes a message once in `REPEAT_SECONDS`, with the number of repeats suppressed since.

    While a broker is down, the clients of one worker log many times a second that they cannot
    connect. Without this filter, nothing else can be found in the log.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._passed: dict[tuple[str, str], tuple[float, int]] = {}  # when, and repeats since

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to pass a log record; debug messages always pass."""
        if record.levelno <= logging.DEBUG:
            return True
        now = self._clock()
        key = record.name, record.getMessage()
        passed_at, suppressed = self._passed.get(key, (now - REPEAT_SECONDS, 0))
        if now - passed_at < REPEAT_SECONDS:
            self._passed[key] = passed_at, suppressed + 1
            return False
        self._passed[key] = now, 0
        if len(self._passed) > MAX_MESSAGES:
            self._passed = {
                each: passed
                for each, passed in self._passed.items()
                if now - passed[0] < REPEAT_SECONDS
            }
        if suppressed:
            record.msg = f"%s (and {suppressed} more times in the last {now - passed_at:.0f} s)"
            record.args = (key[1],)
        return True


def limit_repeated_messages() -> None:
    """Put one `RepeatFilter` on every logger of aiokafka that exists; call it after the imports."""
    repeats = RepeatFilter()
    for name, logger in logging.root.manager.loggerDict.items():
        if name.startswith("aiokafka") and isinstance(logger, logging.Logger):
            logger.addFilter(repeats)
