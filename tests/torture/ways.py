"""The sets of decisions of an account that a worker may have known when it decided."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, combinations, islice
from typing import Final, NamedTuple

from tests.torture.cluster import PROFILE_LAG
from tests.torture.remembered import Account, Event
from tests.torture.values import (
    BUCKET,
    OF_LABELS,
    OF_SIDE,
    Bucket,
    Past,
    alike,
    begin_of,
    values_of,
)

Since = Callable[[int], Bucket]
"""Returns all that is known of an account from a second on."""
SLACK: Final = 3.0
"""Seconds that a worker may take beside what is allowed, on a machine that is busy."""
IN_VAIN: Final = 180.0
"""Seconds within which what was in flight on a worker that has died is decided again."""
MAX_IN_VAIN: Final = 5
"""Transactions of an account that were in flight in vain, at most."""
MAX_WAYS: Final = 20_000
"""Sets of decisions that a worker may have known which are tried, at most."""


class Ways:
    """The sets of decisions of an account that a worker may have known."""

    def __init__(
        self, event: Event, side: str, account: Account, stored: Mapping[str, float]
    ) -> None:
        self._event = event
        self._side = side
        self._past = account.past
        self._stored = {
            name: stored.get(name)
            for name, value in OF_SIDE[side].items()
            if value.function not in OF_LABELS
        }
        self._sums = [*self._totals()]
        self._before = [each for each in account.events if order(each) < order(event)]
        recent: dict[int, list[Event]] = defaultdict(list)
        for each in self._before:
            if self._is_uncertain(each):
                recent[each.partition].append(each)
        self._recent = [sorted(each, key=lambda e: e.offset) for each in recent.values()]
        later = islice(account.events, len(self._before) + 1, None)
        near = (each for each in later if each.made <= event.made + IN_VAIN)
        self._in_vain = [*islice(near, MAX_IN_VAIN)]

    def __str__(self) -> str:
        return f"{[*map(len, self._recent)]} just before, {len(self._in_vain)} soon after"

    def explained(self) -> tuple[str, Since] | None:
        """A reason, with what was known, if it lacks some of what was decided just before."""
        for lacking in islice(self._lacking(), MAX_WAYS):
            if self._add_up(lacking, ()):
                since, last = self._known(lacking)
                if self._fits(since, last):
                    return ("just before" if lacking else ""), since
        return None

    def explained_in_vain(self) -> tuple[str, Since] | None:
        """The same, if it has some of what was decided again soon after."""
        for many in range(len(self._in_vain) + 1):
            for seen in combinations(self._in_vain, many):
                for lacking in islice(self._lacking(many), MAX_WAYS // 10):
                    if self._add_up(lacking, seen):
                        since, last = self._known(lacking, seen)
                        if self._fits(since, last, loosely=bool(self._in_vain)):
                            return "in vain", since
        return None

    def _is_uncertain(self, other: Event) -> bool:
        allowed = SLACK if other.partition == self._event.partition else PROFILE_LAG + SLACK
        return other.written > self._event.made - allowed

    def _totals(self) -> Iterator[_Total]:
        for name, value in OF_SIDE[self._side].items():
            stored = self._stored.get(name)
            if value.function in ("count", "sum") and stored is not None:
                begin = begin_of(value.length, self._event.second)
                inside = self._past.since(begin)
                if value.function == "count":
                    yield _Total(begin, False, inside.count - round(stored))
                else:
                    yield _Total(begin, True, inside.cents - round(stored * 100))

    def _add_up(self, lacking: Sequence[Event], seen: Sequence[Event]) -> bool:
        """Whether counts and sums are right without the one, and with the other."""
        more = {False: len(seen), True: sum(each.cents for each in seen)}
        for begin, of_cents, missing in self._sums:
            gone = (each for each in lacking if each.second - each.second % BUCKET >= begin)
            fewer = sum(each.cents if of_cents else 1 for each in gone)
            if fewer - more[of_cents] != missing:
                return False
        return True

    def _lacking(self, more: int = 0) -> Iterator[tuple[Event, ...]]:
        """What may be lacking if so many are there in vain: of each partition the last ones."""
        missing = min((each.missing for each in self._sums if not each.of_cents), default=0)
        lengths, least = [*map(len, self._recent)], max(0, missing + more)
        # Clocks that are wrong may have put some of them out of the window.
        strange = any(each.error != self._event.error for each in self._all_recent())
        for total in range(least, sum(lengths) + 1) if strange else [least]:
            for many in _shares(lengths, total):
                yield tuple(
                    event
                    for events, lacking in zip(self._recent, many, strict=True)
                    for event in events[len(events) - lacking :]
                )

    def _all_recent(self) -> Iterator[Event]:
        return chain.from_iterable(self._recent)

    def _known(self, lacking: Sequence[Event], more: Sequence[Event] = ()) -> tuple[Since, int]:
        gone = {each.id for each in lacking}
        past = Past()
        for each in self._before:
            if each.id not in gone:
                past.add(each.second, each.cents, each.bit(self._side))
        extra = Bucket(len(more), sum(each.cents for each in more))
        for each in more:
            extra.bits |= each.bit(self._side)

        def since(begin: int) -> Bucket:
            found = past.since(begin)
            found.add(extra)
            return found

        return since, past.last

    def _fits(self, since: Since, last: int, *, loosely: bool = False) -> bool:
        """Whether values are these; `loosely`, if more bits and a later last one may be known."""
        wanted = values_of(self._side, self._event.second, last, since)
        for name, stored in self._stored.items():
            function = OF_SIDE[self._side][name].function
            if loosely and function == "seconds_since_last":
                if stored is None or stored > wanted.get(name, float("inf")):
                    return False
            elif loosely and function == "distinct":
                if stored is None or stored < wanted.get(name, 0.0):
                    return False
            elif not alike(stored, wanted.get(name)):
                return False
        return True


class _Total(NamedTuple):
    """By how much a count or a sum is smaller than that of all."""

    begin: int
    of_cents: bool
    missing: int


def _shares(lengths: Sequence[int], total: int) -> Iterator[tuple[int, ...]]:
    """Yield how many of each so many are, none more than its length."""
    if not lengths:
        if not total:
            yield ()
        return
    rest = sum(lengths[1:])
    for first in range(max(0, total - rest), min(lengths[0], total) + 1):
        for others in _shares(lengths[1:], total - first):
            yield first, *others


def order(event: Event) -> tuple[float, int, int]:
    """What decisions are sorted by, to be in the order in which they were made."""
    return event.made, event.partition, event.offset
