"""What the Kafka client says over and over is said once in a while."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic
from typing import Final

EVERY: Final = 10.0
"""Seconds between two lines that are the same."""
MOST: Final = 1_000
"""Sentences that are remembered, at most."""


class Seldom(logging.Filter):
    """Passes a sentence once in so many seconds, with how often it was left out since.

    While a broker is down, the clients of one worker say up to a thousand times a second that they
    cannot connect (measured), and what else is the matter cannot be found in the log.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to pass it; debug messages always are."""
        if record.levelno <= logging.DEBUG:
            return True
        now = self._clock()
        sentence = record.name, record.getMessage()
        said, left_out = self._said.get(sentence, (now - EVERY, 0))
        if now - said < EVERY:
            self._said[sentence] = said, left_out + 1
            return False
        self._said[sentence] = now, 0
        if len(self._said) > MOST:
            self._said = {key: value for key, value in self._said.items() if now - value[0] < EVERY}
        if left_out:
            record.msg = f"%s (and {left_out} times more in the last {now - said:.0f} s)"
            record.args = (sentence[1],)
        return True


def hush_client() -> None:
    """Let all loggers of the Kafka client that exist speak seldom."""
    seldom = Seldom()
    for name, logger in logging.root.manager.loggerDict.items():
        if name.startswith("aiokafka") and isinstance(logger, logging.Logger):
            logger.addFilter(seldom)
