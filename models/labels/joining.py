"""What a step of joining labels with decisions comes to.

All of it follows from the topic of labels, the decision log, and how long labels wait. Whoever
reads both again comes to the same labelled decisions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Final, NamedTuple

from msgspec import Struct, field

from models.inputs import Input, Rejection
from models.labels.records import Label, Labelled, Said, Source, conflicting, labelled
from models.labels.state import Labels, apply
from models.records import Decision

UNKNOWN: Final = "unknown-transaction"
"""The reason of a dead letter whose transaction was not decided in time."""
MARGIN_MS: Final = 60_000
"""Milliseconds that a label waits beyond its time, for a decision that was made within it."""


class Told(NamedTuple):
    """A label that was read in the key partition of its transaction."""

    label: Label
    input: Input
    written_at: int
    """By the broker's clock, milliseconds since 1970."""


class Waiting(Struct, frozen=True):
    """A label on a transaction that is not decided, as far as is known."""

    transaction_id: str
    source: Source
    said: Said
    written_at: int
    input: Input

    def is_overdue(self, now_ms: int, wait_ms: int) -> bool:
        """Whether no decision that would be in time can come any more."""
        return now_ms > self.written_at + wait_ms + MARGIN_MS


class Row(Struct):
    """What is known of the labels on one transaction."""

    labels: Labels = field(default_factory=dict)
    """Those that are joined with its decision."""
    waiting: dict[Source, int] = field(default_factory=dict)
    """Offsets of the last label of each source, if they are not."""


class Step:
    """Takes in labels, decisions and time; its attributes say what has to be written."""

    def __init__(
        self, rows: Mapping[str, Row], waiting: Mapping[int, Waiting], wait_ms: int
    ) -> None:
        """`rows` are by id, and change; `waiting` are at least the labels that they name."""
        self.rows = rows
        self.added: dict[int, Waiting] = {}
        """Labels that wait from now on, by offset."""
        self.removed: list[int] = []
        """Offsets of labels that wait no more."""
        self.rejected: list[Rejection] = []
        """Labels whose transactions were not decided in time."""
        self.joined: dict[str, Labelled] = {}
        """Decisions on which there are other labels now, by id."""
        self.conflicts = 0
        """How many more transactions there are now on which sources disagree."""
        self._waiting = waiting
        self._wait_ms = wait_ms

    def hear(self, told: Iterable[Told], decisions: Mapping[str, Decision]) -> None:
        """Take in labels in the order of their topic; `decisions` are all that are on their ids."""
        for each in told:
            decision = decisions.get(each.label.transaction_id)
            if decision is None:
                self._wait(each)
            else:
                self.settle(decision)
                self._join(decision, [_waiting(each)])

    def settle(self, decision: Decision) -> None:
        """Take in a decision: the labels that wait for it are joined with it, or were too late."""
        row = self.rows.get(decision.transaction_id)
        if row is not None and row.waiting:
            offsets = sorted(row.waiting.values())
            row.waiting.clear()
            self._join(decision, [self._remove(offset) for offset in offsets])

    def expire(self, overdue: Waiting) -> None:
        """Let a label wait no longer."""
        row = self.rows[overdue.transaction_id]
        if row.waiting.get(overdue.source) == overdue.said.offset:
            del row.waiting[overdue.source]
            self._remove(overdue.said.offset)
            seconds = self._wait_ms / 1_000
            self._reject(overdue, f"no transaction of this id was decided within {seconds:g} s")

    def _wait(self, told: Told) -> None:
        label, offset = told.label, told.input.position.offset
        row = self.rows[label.transaction_id]
        before = row.waiting.get(label.source, -1)
        if before >= offset:
            return
        if before >= 0:
            self._remove(before)  # of one source the last counts
        row.waiting[label.source] = offset
        self.added[offset] = _waiting(told)

    def _join(self, decision: Decision, labels: Iterable[Waiting]) -> None:
        row = self.rows[decision.transaction_id]
        before = conflicting(row.labels)
        changed = False
        for each in labels:
            if _milliseconds(decision.decided_at) > each.written_at + self._wait_ms:
                self._reject(each, f"its transaction was decided at {decision.decided_at}, later")
            else:
                changed |= apply(row.labels, each.source, each.said)
        if changed:
            self.conflicts += conflicting(row.labels) - before
            self.joined[decision.transaction_id] = labelled(decision, row.labels)

    def _remove(self, offset: int) -> Waiting:
        if (added := self.added.pop(offset, None)) is not None:
            return added
        self.removed.append(offset)
        return self._waiting[offset]

    def _reject(self, label: Waiting, detail: str) -> None:
        self.rejected.append(Rejection(label.input, UNKNOWN, detail))


def _waiting(told: Told) -> Waiting:
    label = told.label
    said = Said(label=label.label, at=label.at, by=label.by, offset=told.input.position.offset)
    return Waiting(label.transaction_id, label.source, said, told.written_at, told.input)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _milliseconds(moment: datetime) -> float:
    return (moment - _EPOCH).total_seconds() * 1_000
