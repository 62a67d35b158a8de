"""The sets of decisions of an account that a worker may have known when it decided."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, islice
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
MAX_RECENT: Final = 60
"""Decisions of an account in a partition that a worker may not have known, at most."""
MAX_WAYS: Final = 1_000
"""Sets of decisions that come to the right counts and sums which are tried, at most."""
_Amounts = tuple[int, ...]
"""Of each count and sum."""
_Sets = dict[_Amounts, list[tuple[Event, ...]]]


class Ways:
    """The sets of decisions of an account that a worker may have known."""

    def __init__(
        self,
        event: Event,
        side: str,
        account: Account,
        stored: Mapping[str, float],
        allows: Callable[[Since], bool],
    ) -> None:
        """`allows` tells whether labels may be as they are with what was known."""
        self._allows = allows
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
        self._nothing = (0,) * len(self._sums)
        self._first, self._second = self._halves()

    def __str__(self) -> str:
        return f"{[*map(len, self._recent)]} just before, {len(self._in_vain)} soon after"

    def explained(self) -> str | None:
        """A reason if it lacks some of what was decided just before; "" if it lacks nothing."""
        for lacking in islice(self._lacking(), MAX_WAYS):
            since, last = self._known(lacking)
            if self._fits(since, last) and self._allows(since):
                return "just before" if lacking else ""
        return None

    def explained_in_vain(self) -> str | None:
        """The same, if it has some of what was decided again soon after."""
        for many in range(len(self._in_vain) + 1):
            for seen in combinations(self._in_vain, many):
                for lacking in islice(self._lacking(seen), MAX_WAYS):
                    since, last = self._known(lacking, seen)
                    fits = self._fits(since, last, loosely=bool(self._in_vain))
                    if fits and self._allows(since):
                        return "in vain"
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

    def _lacking(self, seen: Sequence[Event] = ()) -> Iterator[tuple[Event, ...]]:
        """What may be lacking, if counts and sums are right without it and with what was `seen`."""
        more = (sum(each) for each in zip(*map(self._amounts, seen), strict=True))
        wanted = _plus([total.missing for total in self._sums], more if seen else self._nothing)
        for amounts, ones in self._second.items():
            rest = tuple(all_ - part for all_, part in zip(wanted, amounts, strict=True))
            for others in self._first.get(rest, ()):
                for some in ones:
                    yield others + some

    def _halves(self) -> Iterator[_Sets]:
        """The sets that may be lacking of half of the partitions, by what they amount to."""
        parts = [each[-MAX_RECENT:] for each in self._recent]
        for half in (parts[::2], parts[1::2]):
            found: _Sets = {self._nothing: [()]}
            for events in half:
                wider: _Sets = defaultdict(list)
                amounts = self._nothing
                for lacking in range(len(events) + 1):
                    if lacking:
                        amounts = _plus(amounts, self._amounts(events[-lacking]))
                    last = tuple(events[len(events) - lacking :])
                    for before, sets in found.items():
                        wider[_plus(before, amounts)] += [each + last for each in sets]
                found = wider
            yield found

    def _amounts(self, event: Event) -> _Amounts:
        start = event.second - event.second % BUCKET
        return tuple(
            0 if start < each.begin else event.cents if each.of_cents else 1 for each in self._sums
        )

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


def _plus(one: Iterable[int], other: Iterable[int]) -> _Amounts:
    return tuple(a + b for a, b in zip(one, other, strict=True))


def order(event: Event) -> tuple[float, int, int]:
    """What decisions are sorted by, to be in the order in which they were made."""
    return event.made, event.partition, event.offset
