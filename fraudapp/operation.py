"""What is tried until it goes well, and what the log and `/readyz` are told of it meanwhile."""

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

AGAIN: Final = 30.0
"""Seconds after which a failure is told again that goes on for the same reasons."""
BLIP: Final = 3.0
"""Seconds for which a broker may be without a leader, or restart, and nothing is the matter."""
LONGEST: Final = 400
"""Characters of a reason, at most: drivers put whole statements into theirs."""


class Operation:
    """One thing that is tried until it goes well.

    The log is told of the first failure, of each with a reason that is new, of those that go on
    every `AGAIN` seconds, and when it goes well again.
    """

    def __init__(self, what: str, needs: str = "READ", settles: float = 0.0) -> None:
        """`needs` is the operation that an authorizer has to allow on the topic.

        `settles` is in seconds: what goes well sooner after a failure may be a part of it only.
        """
        self.what = what
        self.reason: str | None = None
        """Why the last attempt has failed; None if it has not."""
        self._needs = needs
        self._settles = settles
        self._failed_at = 0.0
        self._began = monotonic()
        self._attempts = 0
        self._told: set[str] = set()
        self._told_at = 0.0

    def began(self) -> None:
        """Take the next attempt as the first, unless the one before has failed."""
        if self.reason is None:
            self._began = monotonic()

    def failed(self, exc: BaseException) -> None:
        """Note that an attempt has failed, and tell the log if it does not know."""
        now = self._failed_at = monotonic()
        self._attempts += 1
        self.reason = reason_of(exc, self._needs)
        kind = re.sub(r"\d+", "", self.reason)  # numbers of ports, attempts, milliseconds
        if now - self._told_at >= AGAIN:
            self._told.clear()
        if kind not in self._told:
            self._told.add(kind)
            self._told_at = now
            log.warning("%s; it is tried until it goes well", str(self))

    def succeeded(self) -> None:
        """Note that it went well, and tell the log if that was told to fail before."""
        if self.reason is not None:
            if monotonic() - self._failed_at < self._settles:
                return
            log.info("%s: goes well again after %.1f s", self.what, monotonic() - self._began)
        self.given_up()
        self._began = monotonic()

    def given_up(self) -> None:
        """Forget that it has failed: it is not tried any more."""
        self.reason = None
        self._attempts = 0
        self._told.clear()

    def trouble(self, after: float = 0.0) -> str | None:
        """What fails, and why, if it has done so for `after` seconds."""
        failing = self.reason is not None and monotonic() - self._began >= after
        return str(self) if failing else None

    def __str__(self) -> str:
        times = "once" if self._attempts == 1 else f"{self._attempts} times"
        seconds = monotonic() - self._began
        return f"{self.what}: {self.reason} (failed {times} in {seconds:.1f} s)"


class PartitionReads(dict[int, Operation]):
    """The operations to read the partitions of a topic, each made when it is first asked for."""

    def __init__(self, topic: str, purpose: str = "") -> None:
        self._topic = topic
        self._purpose = purpose
        super().__init__()

    def __missing__(self, number: int) -> Operation:
        what = f"reading partition {number} of {self._topic}{self._purpose}"
        operation = self[number] = Operation(what)
        return operation


def troubles(operations: Iterable[Operation], after: float = BLIP) -> list[str]:
    """What fails of these, and why, if it has done so for `after` seconds."""
    found = (each.trouble(after) for each in operations)
    return [each for each in found if each is not None]


def reason_of(exc: BaseException, needs: str = "READ") -> str:
    """Return the class and message of an exception and of what it stems from, in one line."""
    told = _text(exc, needs)
    while (cause := exc.__cause__) is not None:
        text = _text(cause, needs)
        if type(cause) is not type(exc) and text not in told:
            told += f", from {text}"
        exc = cause
    return told if len(told) <= LONGEST else f"{told[:LONGEST]}..."


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
    topic = getattr(named, "topic", None)  # of a partition
    if topic is not None:
        return [topic]
    return [name for each in named for name in _topics(each)] if isinstance(named, Iterable) else []
