"""Trying again until it goes well, with backoff and jitter."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from typing import Final

import stamina
from aiokafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    ProducerClosed,
    RecordListTooLargeError,
)

log = logging.getLogger(__name__)

LONGEST_WAIT: Final = 5.0
"""Seconds between two attempts, at most."""

# Trying again would change nothing.
_FINAL: Final = (MessageSizeTooLargeError, RecordListTooLargeError, ProducerClosed)


async def patiently(
    what: str, on: type[Exception] | None = None
) -> AsyncIterator[AbstractContextManager[object]]:
    """Yield attempts, without end, until one does not raise `on`; by default a `KafkaError`.

    Cancelling is the way out. `what` is said in the log when the first attempt has failed.
    """
    passes = _may_pass if on is None else lambda exc: isinstance(exc, on)
    first = _FirstAttempt(passes)
    yield first
    if not first.failed:
        return
    log.warning("%s: failed, trying again until it goes well", what)
    async for attempt in stamina.retry_context(
        on=passes, attempts=None, timeout=None, wait_initial=0.1, wait_max=LONGEST_WAIT
    ):
        yield attempt


class _FirstAttempt:
    """Nearly always the only one; on the way of every batch, so without the machinery of others."""

    failed = False

    def __init__(self, passes: Callable[[Exception], bool]) -> None:
        self._passes = passes

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, exc: BaseException | None, traceback: object) -> bool:
        self.failed = isinstance(exc, Exception) and self._passes(exc)
        return self.failed


def _may_pass(exc: Exception) -> bool:
    return isinstance(exc, KafkaError) and not isinstance(exc, _FINAL)
