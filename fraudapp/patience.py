"""Trying again until it goes well, with backoff and jitter."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any, Final

import stamina
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, ProducerClosed

log = logging.getLogger(__name__)

LONGEST_WAIT: Final = 5.0
"""Seconds between two attempts, at most."""

# Trying again would change nothing.
_FINAL: Final = (MessageSizeTooLargeError, ProducerClosed)


async def patiently(what: str, on: Any = None) -> AsyncIterator[stamina.Attempt]:
    """Yield attempts, without end, until one does not raise `on`; by default a `KafkaError`.

    Cancelling is the way out. `what` is said in the log when the first attempt has failed.
    """
    async for attempt in stamina.retry_context(
        on=on or _may_pass, attempts=None, timeout=None, wait_initial=0.1, wait_max=LONGEST_WAIT
    ):
        if attempt.num == 2:
            log.warning("%s: failed, trying again until it goes well", what)
        yield attempt


def _may_pass(exc: Exception) -> bool:
    return isinstance(exc, KafkaError) and not isinstance(exc, _FINAL)
