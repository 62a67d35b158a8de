"""Operations that are retried until they succeed, and how the log and `/readyz` report them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from time import monotonic
from typing import Final

from aiokafka import TopicPartition
from aiokafka.errors import GroupAuthorizationFailedError as GroupRefused
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

log = logging.getLogger(__name__)

REPEAT_INTERVAL: Final = 30.0
"""Seconds after which a failure that goes on for the same reason is logged again."""
GRACE_SECONDS: Final = 3.0
"""Seconds for which a partition may be without a leader, as in a restart, and count as healthy."""
MAX_REASON_LENGTH: Final = 400
"""Characters; the messages of database drivers may hold whole statements."""


class Operation:
    """One operation that is retried until it succeeds.

    It logs the first failure, each failure with a new reason, and the success after failures. A
    failure that goes on is logged again every `REPEAT_INTERVAL`.
    """

    def __init__(self, what: str, needs: str = "READ", settle_seconds: float = 0.0) -> None:
        """`needs` is the Kafka operation that an authorizer has to allow on the topic.

        A success within `settle_seconds` of a failure does not count: it may be of a part only,
        such as one partition of several.
        """
        self.what = what
        self.reason: str | None = None
        """Why the last attempt failed; None if it did not."""
        self._needs = needs
        self._settle_seconds = settle_seconds
        self._failed_at = 0.0
        self._began = monotonic()
        self._attempts = 0
        self._logged: set[str] = set()  # reasons, without numbers
        self._logged_at = 0.0

    def began(self) -> None:
        """Let an attempt begin; it counts as the first unless the one before has failed."""
        if self.reason is None:
            self._began = monotonic()

    def failed(self, exc: BaseException) -> None:
        """Note that an attempt has failed, and log it unless it was logged lately."""
        now = self._failed_at = monotonic()
        self._attempts += 1
        self.reason = reason_of(exc, self._needs)
        kind = re.sub(r"\d+", "", self.reason)  # ports, attempts and milliseconds vary
        if now - self._logged_at >= REPEAT_INTERVAL:
            self._logged.clear()
        if kind not in self._logged:
            self._logged.add(kind)
            self._logged_at = now
            log.warning("%s; retrying", str(self))

    def succeeded(self) -> None:
        """Note that an attempt has succeeded, and log it if the one before had failed."""
        if self.reason is not None:
            if monotonic() - self._failed_at < self._settle_seconds:
                return
            log.info("%s: succeeded again after %.1f s", self.what, monotonic() - self._began)
        self.given_up()
        self._began = monotonic()

    def given_up(self) -> None:
        """Forget all failures: the operation is not tried any more."""
        self.reason = None
        self._attempts = 0
        self._logged.clear()

    def trouble(self, after: float = 0.0) -> str | None:
        """Return what fails and why, if it has failed for `after` seconds or longer."""
        failing = self.reason is not None and monotonic() - self._began >= after
        return str(self) if failing else None

    def __str__(self) -> str:
        times = "once" if self._attempts == 1 else f"{self._attempts} times"
        seconds = monotonic() - self._began
        return f"{self.what}: {self.reason} (failed {times} in {seconds:.1f} s)"


class PartitionReads(dict[int, Operation]):
    """The operations of reading each partition of a topic, created at their first use."""

    def __init__(self, topic: str, purpose: str = "") -> None:
        self._topic = topic
        self._purpose = purpose
        super().__init__()

    def __missing__(self, partition: int) -> Operation:
        what = f"reading partition {partition} of {self._topic}{self._purpose}"
        operation = self[partition] = Operation(what)
        return operation


def troubles(operations: Iterable[Operation], after: float = GRACE_SECONDS) -> list[str]:
    """Return which of these operations have failed for `after` seconds or longer, and why."""
    all_troubles = (operation.trouble(after) for operation in operations)
    return [trouble for trouble in all_troubles if trouble is not None]


def reason_of(exc: BaseException, needs: str = "READ") -> str:
    """Return class and message of an exception and of its causes, in one line.

    `needs` is the Kafka operation that was refused, if the exception is about authorization.
    """
    reason = _text(exc, needs)
    while (cause := exc.__cause__) is not None:
        text = _text(cause, needs)
        if type(cause) is not type(exc) and text not in reason:
            reason += f", from {text}"
        exc = cause
    too_long = len(reason) > MAX_REASON_LENGTH
    return f"{reason[:MAX_REASON_LENGTH]}..." if too_long else reason


def _text(exc: BaseException, needs: str) -> str:
    message = " ".join(", ".join(map(_argument, exc.args)).split())
    if isinstance(exc, TopicAuthorizationFailedError):
        topics = ", ".join(sorted({name for each in exc.args for name in _topics(each)}))
        message = f"the broker's user needs {needs} on topic {topics or '(not named)'}"
    elif isinstance(exc, GroupRefused):
        message = f"the broker's user needs READ on group {message or '(not named)'}"
    elif not isinstance(exc, KafkaError):
        message = " ".join(str(exc).split())
    name = type(exc).__name__
    return f"{name}: {message}" if message else name


def _argument(value: object) -> str:
    if isinstance(value, TopicPartition):
        return f"{value.topic}/{value.partition}"
    return str(value)


def _topics(named: object) -> Iterable[str]:
    if isinstance(named, str):
        return [named]
    topic = getattr(named, "topic", None)  # a `TopicPartition`
    if topic is not None:
        return [topic]
    return [name for each in named for name in _topics(each)] if isinstance(named, Iterable) else []
