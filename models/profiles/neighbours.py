"""Decisions on one account close to each other, of which two workers may not have known.

The owner of a partition knows all that it has decided there. What others decide it reads from the
log, a moment later. So a worker may have decided without a decision on the same account, in another
partition,

- before its own, by less than the lag: it may not have been read yet;

and with one, in another partition,

- after its own, by less than the lag: the clock of its worker may be ahead, or it was made before
  by a worker that lost its partition, was seen in flight, and was made anew;
- after its own, first in its partition: so it is if a worker died that had both in flight.

A decision that says that profiles were behind may lack those before it of all partitions, by less
than it says and the lag together. Where that is as long as a worker waits after a start, it may
lack all of them: the worker goes on with what it has read by then, which may be nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from typing import Final, NamedTuple

from models.profiles.events import Events
from models.records import Decision

ANEW: Final = 3_600.0
"""Seconds after which decisions that a dead worker had in flight are made anew, at most."""
FIRST_CATCH_UP: Final = 60.0
"""Seconds for which the first decisions of a worker wait for what it reads, at most."""
_FEW: Final = 16


class Logged(NamedTuple):
    """A decision as the log has it."""

    moment: float
    """When it was made, in seconds since 1970; never before those before it in its partition."""
    partition: int
    decision: Decision


class Part(NamedTuple):
    """A decision as the profile of one account takes it in."""

    key: bytes
    second: int
    amount: int
    """In smallest units."""
    marks: Sequence[int]
    """For each counted field: the bit that its value sets; 0 where it has none."""


class Recent(NamedTuple):
    """A decision on an account."""

    number: int
    """Its place in the order of decisions."""
    moment: float
    partition: int
    before: float
    """The moment of the batch before in its partition."""
    part: Part
    last: int
    """The second of the last one before it on the account; 0 if there is none."""


class Uncertain(NamedTuple):
    """What a worker may have known of an account, or not, when it decided."""

    second: int
    last: int
    """The second of the last decision that it has known for certain; 0 if there is none."""
    lacking: Sequence[Part]
    """It may not have known these, which the log has before its own."""
    more: list[Part]
    """It may have known these, which the log has after its own."""
    lacks_all: bool = False
    """Whether it may have known nothing at all of what is before its own."""


class Neighbours:
    """Takes decisions in the order of their moments, and keeps those of the last minute or so."""

    def __init__(self, lag: float) -> None:
        """`lag` is how many seconds profiles may be behind, of partitions of other workers."""
        self._lag = lag
        self._kept = FIRST_CATCH_UP + 2 * lag
        self._number = 0
        self._batches: dict[int, tuple[float, float]] = {}  # moments of the last two, by partition
        self._recent: dict[bytes, list[Recent]] = {}

    def add(self, logged: Logged, parts: Sequence[Part | None]) -> list[Recent | None]:
        """Take in a decision; returns it as it is on each account."""
        moment, partition, _ = logged
        last, before = self._batches.get(partition, (-inf, -inf))
        if last != moment:
            self._batches[partition] = moment, last
            before = last
        self._number += 1
        found: list[Recent | None] = []
        for part in parts:
            if part is None:
                found.append(None)
                continue
            recent = self._recent.setdefault(part.key, [])
            second = max(recent[-1].last, recent[-1].part.second) if recent else 0
            found.append(Recent(self._number, moment, partition, before, part, second))
            recent.append(found[-1])  # type: ignore[arg-type]
            middle = len(recent) // 2
            if middle >= _FEW and recent[middle].moment < moment - self._kept:
                del recent[:middle]
        return found

    def uncertain(self, own: Recent, profile_lag: float) -> Uncertain:
        """Return what the worker of a decision may have known, or not, of one account.

        It is complete once all decisions are added that are later by less than the lag, and lost
        when later ones are; but see `is_anew`.
        """
        since = own.moment - self._lag - profile_lag
        lacking, more = list[Part](), list[Part]()
        last = 0
        for each in reversed(self._recent[own.part.key]):
            is_elsewhere = each.partition != own.partition
            if each.number > own.number:
                is_near = each.moment - own.moment <= self._lag
                if is_elsewhere and (is_near or is_anew(each, own)):
                    more.append(each.part)
            elif each.number < own.number:
                if each.moment < since:
                    last = max(last, each.last, each.part.second)
                    break
                if is_elsewhere or profile_lag:
                    lacking.append(each.part)
                else:
                    last = max(last, each.part.second)
        else:
            last = max(last, self._recent[own.part.key][0].last)
        return Uncertain(own.part.second, last, lacking, more, profile_lag >= FIRST_CATCH_UP)


def is_anew(later: Recent, own: Recent) -> bool:
    """Whether a later decision may have been in flight on a dead worker at the moment of `own`."""
    return later.before <= own.moment and later.partition != own.partition


def parts_of(events: Events) -> Iterator[Sequence[Part | None]]:
    """Yield each of the transactions as the profiles that it is in take it in, by side."""
    seconds, amounts = events.seconds.tolist(), events.amounts.tolist()
    columns = [
        (side.keys, [*zip(*(each.tolist() for each in side.marks), strict=True)])
        for side in events.sides
    ]
    for place, (second, amount) in enumerate(zip(seconds, amounts, strict=True)):
        yield [
            None
            if (key := keys[place]) is None
            else Part(key, second, amount, marks[place] if marks else ())
            for keys, marks in columns
        ]
