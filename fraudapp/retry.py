"""Trying again until it goes well, with backoff and jitter."""

from __future__ import annotations

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
from stamina.instrumentation import set_on_retry_hooks

from fraudapp.operation import Operation

LONGEST_WAIT: Final = 5.0
"""Seconds between two attempts, at most."""

# Trying again would change nothing.
_FINAL: Final = (MessageSizeTooLargeError, RecordListTooLargeError, ProducerClosed)

# Its own line, `stamina.retry_scheduled`, tells neither what is tried nor why: `Operation` does.
set_on_retry_hooks([])


async def retry_forever(
    what: str | Operation,
    on: type[Exception] | tuple[type[Exception], ...] | None = None,
    *,
    within: float | None = None,
    longest_wait: float = LONGEST_WAIT,
) -> AsyncIterator[AbstractContextManager[object]]:
    """Yield attempts until one does not raise `on`; by default a `KafkaError`.

    They end when `within` seconds are over, with the last failure; else never: cancelling is the
    way out. The log is told what fails and why, see `Operation`; a caller that has to know it too
    passes one of its own.
    """
    operation = what if isinstance(what, Operation) else Operation(what)
    passes = _may_pass if on is None else lambda exc: isinstance(exc, on)
    first = _Attempt(operation, passes)
    yield first
    if not first.failed:
        return
    async for attempt in stamina.retry_context(
        on=passes, attempts=None, timeout=within, wait_initial=0.1, wait_max=longest_wait
    ):
        yield _Attempt(operation, passes, attempt)


class _Attempt:
    """The first is nearly always the only one, and on the way of every batch: it needs no more."""

    failed = False

    def __init__(
        self,
        operation: Operation,
        passes: Callable[[Exception], bool],
        attempt: AbstractContextManager[object] | None = None,
    ) -> None:
        self._operation = operation
        self._passes = passes
        self._attempt = attempt

    def __enter__(self) -> None:
        self._operation.began()
        if self._attempt is not None:
            self._attempt.__enter__()

    def __exit__(self, kind: object, exc: BaseException | None, traceback: object) -> bool | None:
        self.failed = isinstance(exc, Exception) and self._passes(exc)
        if self.failed and exc is not None:
            self._operation.failed(exc)
        elif exc is None:
            self._operation.succeeded()
        else:
            self._operation.given_up()
        if self._attempt is None:
            return self.failed
        return self._attempt.__exit__(kind, exc, traceback)  # type: ignore[arg-type]


def _may_pass(exc: Exception) -> bool:
    return isinstance(exc, KafkaError) and not isinstance(exc, _FINAL)
