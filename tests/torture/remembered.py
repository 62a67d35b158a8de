"""What profiles take in: decisions, and labels on them, from the topics."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tests.torture.clocks import error_of
from tests.torture.cluster import LABEL_DELAY
from tests.torture.plans import moment
from tests.torture.reading import Record
from tests.torture.values import BUCKET, RECEIVER, SENDER, SIDES, Past, bit_of


class Event(NamedTuple):
    """A decision as profiles take it in."""

    id: str
    made: float
    """When it was made, by a clock that is right."""
    error: float
    """Seconds by which that of its worker was wrong."""
    written: float
    """When it was in the log."""
    partition: int
    offset: int
    second: int
    """When it was made, by its worker's clock."""
    cents: int
    accounts: Mapping[str, str]
    profile: Mapping[str, float]
    lag: float

    def bit(self, side: str) -> int:
        """The bit that its other account sets on a side."""
        return bit_of(self.accounts[RECEIVER if side == SENDER else SENDER])


class Account(NamedTuple):
    """One side of an account."""

    past: Past
    events: list[Event]
    """All of it, in the order in which they were made."""


class Move(NamedTuple):
    """A label that changes a number of frauds."""

    due: float
    """The second from which on decisions see it."""
    written: float
    second: int
    """That of the decision that it is on."""
    change: int


def event_of(record: Record) -> Event:
    """The decision that a record of the log holds."""
    decision = json.loads(record.value or b"")
    sent, stamped = decision["transaction"], moment(decision["decided_at"]).timestamp()
    written = record.written_at / 1_000
    error = error_of(stamped, written)
    return Event(
        decision["transaction_id"],
        stamped - error,
        error,
        written,
        record.partition,
        record.offset,
        int(stamped),
        round(sent["amount"] / 0.01),
        {side: sent[side] for side in SIDES},
        decision.get("profile", {}),
        decision.get("profile_lag", 0.0),
    )


def moves_of(
    labelled: Iterable[Record], events: Mapping[str, Event]
) -> dict[tuple[str, str], list[Move]]:
    """What labels change in the numbers of frauds of accounts, in the order in which they do."""
    found: dict[tuple[str, str], list[Move]] = defaultdict(list)
    known: dict[str, tuple[int, int]] = {}
    for record in labelled:
        told = json.loads(record.value or b"")
        id_ = told["decision"]["transaction_id"]
        version, before = known.get(id_, (-1, 0))
        if told["version"] <= version:
            continue
        known[id_] = told["version"], told["label"]
        if id_ in events and (change := told["label"] - before):
            written = record.written_at / 1_000
            due = (written // LABEL_DELAY + 2) * LABEL_DELAY
            for side in SIDES:
                move = Move(due, written, events[id_].second, change)
                found[side, events[id_].accounts[side]].append(move)
    for moves in found.values():
        moves.sort()
    return found


def frauds_of(moves: Sequence[Move], begin: int, second: int) -> int:
    """The frauds that decisions of a second see, in the buckets from `begin` on."""
    return sum(
        each.change
        for each in moves
        if each.due <= second and each.second - each.second % BUCKET >= begin
    )
