"""Recent activity, computed from the decision log: rates, scores, latest blocked transactions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Annotated, Final

import numpy as np
from msgspec import Meta, Struct, field

from models.counts import Count
from models.records import Decision, Outcome, Reason
from models.schema.schema import PAYSIM, Schema

OUTCOMES: Final = (Outcome.APPROVE, Outcome.FLAG, Outcome.BLOCK)
"""The order in which a bucket counts them."""
SCORE_BINS: Final = 20
"""Bins of equal width from 0 to 1 in the histogram of scores."""
MAX_BLOCKED: Final = 20
"""How many blocked transactions are kept."""

Whole = Annotated[int, Meta(ge=1)]
ByOutcome = Annotated[list[Count], Meta(min_length=len(OUTCOMES), max_length=len(OUTCOMES))]
Bins = Annotated[list[Count], Meta(min_length=SCORE_BINS, max_length=SCORE_BINS)]

_moment: Final = attrgetter("decided_at")
_outcome: Final = attrgetter("decision")
_score: Final = attrgetter("score")


class Blocked(Struct, frozen=True):
    """A blocked transaction, as a list of them shows it: accounts are masked."""

    transaction_id: str
    decided_at: float
    """Seconds since 1970."""
    score: float
    reasons: list[Reason]
    type: str | None
    """None, as the others, if the schema has no field with that role."""
    amount: float | None
    origin: str | None
    destination: str | None
    currency: str | None = None


class Buckets(Struct):
    """Decisions by outcome in intervals of time; keeps the intervals that were counted in last.

    It does not keep those with the latest times: one decision by a clock that is a year ahead would
    then push out all others.
    """

    width: Whole
    """Length of an interval, in seconds."""
    kept: Whole
    """How many intervals are kept."""
    counts: dict[int, ByOutcome] = {}
    """Counts in the order of `OUTCOMES`, by the number of the interval since 1970. The interval
    that was counted in last comes last."""

    def add(self, moment: float, counts: Sequence[int]) -> None:
        """Count decisions made at one moment (seconds since 1970), in the order of the log.

        `counts` are in the order of `OUTCOMES`.
        """
        interval = int(moment) // self.width
        bucket = self.counts.pop(interval, None)
        if bucket is None:
            bucket = [0] * len(OUTCOMES)
            if len(self.counts) >= self.kept:
                del self.counts[next(iter(self.counts))]
        self.counts[interval] = bucket
        for place, count in enumerate(counts):
            bucket[place] += count


class Activity(Struct):
    """The recent past of one partition.

    It is a function of the decisions in the order of the log: every worker that has read the log up
    to an offset has the same, whatever batches it read. No clock is read. Times are those in the
    decisions, by clocks that may be wrong or be set back.
    """

    seconds: Buckets = field(default_factory=lambda: Buckets(width=10, kept=90))
    minutes: Buckets = field(default_factory=lambda: Buckets(width=60, kept=120))
    scores: Bins = field(default_factory=lambda: [0] * SCORE_BINS)
    blocked: list[Blocked] = field(default_factory=list)
    """The latest blocked transactions, in the order of the log."""
    first_decided_at: float | None = None
    """Time of the first decision in the log, seconds since 1970; None if there is none."""

    def add(self, decisions: Sequence[Decision], schema: Schema = PAYSIM) -> list[int]:
        """Add decisions in the order of the log; returns their counts in that of `OUTCOMES`."""
        total = [0] * len(OUTCOMES)
        if not decisions:
            return total
        if self.first_decided_at is None:
            self.first_decided_at = decisions[0].decided_at.timestamp()
        # All decisions of a batch have the same time, so this loop mostly runs once.
        for moment, same in groupby(decisions, key=_moment):
            outcomes = list(map(_outcome, same))
            counts = [outcomes.count(outcome) for outcome in OUTCOMES]
            total = [a + b for a, b in zip(total, counts, strict=True)]
            seconds = moment.timestamp()
            self.seconds.add(seconds, counts)
            self.minutes.add(seconds, counts)
        scores = np.fromiter(map(_score, decisions), dtype=np.float64, count=len(decisions))
        bins = np.minimum(scores * SCORE_BINS, SCORE_BINS - 1).astype(np.intp)
        added = np.bincount(bins, minlength=SCORE_BINS).tolist()
        self.scores = [a + b for a, b in zip(self.scores, added, strict=True)]
        if total[OUTCOMES.index(Outcome.BLOCK)]:
            blocked = [each for each in decisions if each.decision is Outcome.BLOCK]
            latest = [_blocked(each, schema) for each in blocked[-MAX_BLOCKED:]]
            self.blocked = [*self.blocked, *latest][-MAX_BLOCKED:]
        return total


class Recent(Struct, frozen=True):
    """The recent past of the whole cluster."""

    since: float | None
    """When the first decision was made, seconds since 1970."""
    hour: dict[str, int]
    """Decisions by outcome in the last 60 minutes."""
    seconds: list[list[int]]
    """One row for each interval of 10 s: its begin (seconds since 1970), then counts by outcome."""
    minutes: list[list[int]]
    """The same for intervals of a minute."""
    scores: list[int]
    """How many scores are in each of the `SCORE_BINS` bins."""
    blocked: list[Blocked]
    """The latest, newest first."""


def recent(partitions: Iterable[Activity], now: float) -> Recent:
    """Add up the activity of all partitions, as of `now` (seconds since 1970).

    Decisions with a later time, by a clock that is ahead, count only in the scores.
    """
    each = list(partitions)
    firsts = [one.first_decided_at for one in each if one.first_decided_at is not None]
    minutes = _rows([one.minutes for one in each], now)
    hour = [row for row in minutes if row[0] > now - 3_600]
    return Recent(
        since=min((first for first in firsts if first <= now), default=None),
        hour={
            outcome.value: sum(row[1 + place] for row in hour)
            for place, outcome in enumerate(OUTCOMES)
        },
        seconds=_rows([one.seconds for one in each], now),
        minutes=minutes,
        scores=[sum(bins) for bins in zip(*(one.scores for one in each), strict=True)]
        or [0] * SCORE_BINS,
        blocked=sorted(
            (one for activity in each for one in activity.blocked if one.decided_at <= now),
            key=lambda one: (-one.decided_at, one.transaction_id),
        )[:MAX_BLOCKED],
    )


def mask(account: str | None) -> str | None:
    """Mask an account id: only its first and its last two characters are shown."""
    if account is None:
        return None
    return f"{account[:1]}•••{account[-2:]}" if len(account) > 5 else "•••"


def _blocked(decision: Decision, schema: Schema) -> Blocked:
    transaction = decision.transaction
    return Blocked(
        transaction_id=decision.transaction_id,
        decided_at=decision.decided_at.timestamp(),
        score=decision.score,
        reasons=decision.reasons,
        type=schema.kind(transaction),
        amount=schema.amount(transaction),
        origin=mask(schema.sender(transaction)),
        destination=mask(schema.receiver(transaction)),
        currency=schema.currency(transaction),
    )


def _rows(buckets: Sequence[Buckets], now: float) -> list[list[int]]:
    sums: dict[int, list[int]] = {}
    for one in buckets:
        last = int(now) // one.width
        for interval, counts in one.counts.items():
            if last - one.kept < interval <= last:
                begin = interval * one.width
                so_far = sums.get(begin, [0] * len(OUTCOMES))
                sums[begin] = [a + b for a, b in zip(so_far, counts, strict=True)]
    return [[begin, *sums[begin]] for begin in sorted(sums)]


def by_outcome(counts: Sequence[int]) -> Mapping[str, int]:
    """Map the names of `OUTCOMES` to their counts, without the zeros."""
    return {outcome.value: n for outcome, n in zip(OUTCOMES, counts, strict=True) if n}
