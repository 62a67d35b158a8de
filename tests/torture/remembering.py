"""Recounts the profiles that decisions were made with, from the log, by code of its own.

A worker knows for certain what was in the log some seconds ago, and what it has decided itself. Of
what another one has decided just before, it knows the first ones of each partition, or none. What
was in flight on a worker that has died it may have seen in vain. A decision whose profile is not
that of all decisions before it has to be explained by one of these.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tests.torture.reading import Record
from tests.torture.remembered import Account, Event, Move, event_of, frauds_of, moves_of
from tests.torture.values import (
    BUCKET,
    OF_LABELS,
    OF_SIDE,
    SIDES,
    Bucket,
    Past,
    alike,
    begin_of,
    values_of,
)
from tests.torture.ways import Since, Ways, order

LABELS_LATE: Final = 90.0
"""Seconds that labels may be late in profiles, on a worker that was frozen or has just started."""


class Remembering:
    """Compares the profiles of all decisions; what differs is explained, or it is not."""

    def __init__(self, decisions: Iterable[Record], labelled: Iterable[Record]) -> None:
        """Both are of workers, in the order of their topics."""
        self.compared = 0
        self.explained: Counter[str] = Counter()
        """Decisions whose profile is not that of all before, by the reason."""
        self.wrong: list[str] = []
        """Those without a reason."""
        self.by_id: dict[str, Event] = {}
        for each in decisions:
            event = event_of(each)
            self.by_id.setdefault(event.id, event)
        self.accounts: dict[tuple[str, str], Account] = defaultdict(lambda: Account(Past(), []))
        self.moves = moves_of(labelled, self.by_id)
        self._ordered = sorted(self.by_id.values(), key=order)
        for event in self._ordered:
            for side in SIDES:
                self.accounts[side, event.accounts[side]].events.append(event)
        self._is_fast_after = min(
            (each.made for each in self._ordered if each.error > 0), default=float("inf")
        )
        self._compare()

    def final(self) -> dict[tuple[str, str], Past]:
        """What has to be on each worker's disk by account, once all labels are due."""
        for key, moves in self.moves.items():
            past = self.accounts[key].past
            for each in past.buckets.values():
                each.frauds = 0
            for move in moves:
                past.add_frauds(move.second, move.change)
        return {key: account.past for key, account in self.accounts.items()}

    def _compare(self) -> None:
        for event in self._ordered:
            self.compared += 1
            reasons = set()
            for side in SIDES:
                account = self.accounts[side, event.accounts[side]]
                if reason := self._reason(event, side, account):
                    reasons.add(reason)
                account.past.add(event.second, event.cents, event.bit(side))
            if wrong := sorted(each for each in reasons if each.startswith(event.id)):
                self.wrong.append(wrong[0])
            elif reasons:
                self.explained[min(reasons)] += 1

    def _reason(self, event: Event, side: str, account: Account) -> str:
        """Why a profile differs: a word, a sentence if nothing explains it, "" if it does not."""
        stored = {name: event.profile[name] for name in OF_SIDE[side] if name in event.profile}
        past, moves = account.past, self.moves.get((side, event.accounts[side]), [])

        def since(begin: int) -> Bucket:
            found = past.since(begin)
            found.frauds = frauds_of(moves, begin, event.second)
            return found

        wanted = values_of(side, event.second, past.last, since)
        if stored.keys() == wanted.keys() and all(alike(stored[n], wanted[n]) for n in stored):
            return ""
        if event.lag:
            return "lag"

        def allows(known: Since) -> bool:
            return self._may_have_frauds(event, side, stored, moves, known)

        ways = Ways(event, side, account, stored, allows)
        found = ways.explained()
        if found is None:
            found = ways.explained_in_vain()
        if found is None:
            differing = {
                name: (stored.get(name), wanted.get(name))
                for name in OF_SIDE[side]
                if not alike(stored.get(name), wanted.get(name))
            }
            return f"{event.id}: of {event.accounts[side]} it has {differing} ({ways})"
        return found or "labels"

    def _may_have_frauds(
        self,
        event: Event,
        side: str,
        stored: Mapping[str, float],
        moves: Sequence[Move],
        since: Since,
    ) -> bool:
        """Whether labels that the worker may not have read yet explain the number of frauds."""
        for name, value in OF_SIDE[side].items():
            if value.function not in OF_LABELS:
                continue
            begin = begin_of(value.length, event.second)
            count = since(begin).count
            known = stored.get(name)
            if value.function == "fraud_rate":
                if (known is None) != (count == 0):
                    return False
                known = known * count if known is not None else None
            if known is None:
                continue
            low, high = self._frauds_between(event, moves, begin)
            if abs(known - round(known)) > 1e-6 or not low <= round(known) <= high:
                return False
        return True

    def _frauds_between(self, event: Event, moves: Sequence[Move], begin: int) -> tuple[int, int]:
        low = high = 0
        for each in moves:
            if each.second - each.second % BUCKET < begin:
                continue
            is_due = each.due <= event.second
            certain = is_due and each.written < event.made - LABELS_LATE and event.error >= 0
            early = each.written <= event.made and self._is_fast_after < event.made
            if certain:
                low += each.change
                high += each.change
            elif is_due or early or (event.error < 0 and each.written <= event.made):
                low += min(0, each.change)
                high += max(0, each.change)
        return low, high
