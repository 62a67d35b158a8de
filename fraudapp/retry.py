"""Retries with backoff and jitter, until an operation succeeds."""

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

MAX_WAIT: Final = 5.0
"""Seconds between two attempts, at most."""

# A retry would fail in the same way.
_FINAL: Final = (MessageSizeTooLargeError, RecordListTooLargeError, ProducerClosed)

# The log line of stamina tells neither what is retried nor why; `Operation` logs both.
set_on_retry_hooks([])


async def retry_forever(
    what: str | Operation,
    on: type[Exception] | tuple[type[Exception], ...] | None = None,
    *,
    within: float | None = None,
    max_wait: float = MAX_WAIT,
) -> AsyncIterator[AbstractContextManager[object]]:
    """Yield attempts until one does not raise `on`; by default a `KafkaError`.

    After `within` seconds the last failure is raised; without `within` only cancelling ends the
    attempts. `max_wait` is in seconds. `Operation` logs the failures. A caller that has to know
    them passes an operation of its own.
    """
    operation = what if isinstance(what, Operation) else Operation(what)
    is_retryable = _may_pass if on is None else lambda exc: isinstance(exc, on)
    first = _Attempt(operation, is_retryable)
    yield first
    if not first.failed:
        return
    async for attempt in stamina.retry_context(
        on=is_retryable, attempts=None, timeout=within, wait_initial=0.1, wait_max=max_wait
    ):
        yield _Attempt(operation, is_retryable, attempt)


class _Attempt:
    """One attempt of an operation.

    The first attempt does without stamina's context: it is on the path of every batch, and is
    nearly always the only one.
    """

    failed = False

    def __init__(
        self,
        operation: Operation,
        is_retryable: Callable[[Exception], bool],
        attempt: AbstractContextManager[object] | None = None,
    ) -> None:
        self._operation = operation
        self._is_retryable = is_retryable
        self._attempt = attempt

    def __enter__(self) -> None:
        self._operation.began()
        if self._attempt is not None:
            self._attempt.__enter__()

    def __exit__(self, kind: object, exc: BaseException | None, traceback: object) -> bool | None:
        self.failed = isinstance(exc, Exception) and self._is_retryable(exc)
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
