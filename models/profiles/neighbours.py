"""Decisions on one account close to each other, of which two workers may not have known.

The owner of a partition knows all that it has decided there. What others decide it reads from the
log, a moment later. So a difference is explained by a decision on the same account, in another
partition,

- before it, by less than the lag: it may not have been read yet;
- after it, by less than the lag: the clock of its worker may be ahead, or it was made before by a
  worker that lost its partition, was seen in flight, and was made anew;
- after it, first in its partition: so it is if a worker died that had both in flight.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import inf
from typing import Final, NamedTuple

from models.profiles.differences import Difference
from models.records import Decision

ANEW: Final = 3_600.0
"""Seconds after which decisions that a dead worker had in flight are made anew, at most."""


class Logged(NamedTuple):
    """A decision as the log has it."""

    moment: float
    """When it was made, in seconds since 1970; never before those before it in its partition."""
    partition: int
    decision: Decision


class _Latest(NamedTuple):
    """The latest decisions on an account."""

    moment: float
    partition: int
    elsewhere: float
    """When the latest one was made in another partition than this one."""


class _Watched(NamedTuple):
    """A difference that a later decision may explain."""

    moment: float
    difference: Difference


class Neighbours:
    """Takes decisions in the order of their moments."""

    def __init__(self, lag: float) -> None:
        """`lag` is how many seconds profiles may be behind, of partitions of other workers."""
        self._lag = lag
        self._latest: dict[bytes, _Latest] = {}
        self._batches: dict[int, tuple[float, float]] = {}  # moments of the last two, by partition
        self._watched: deque[tuple[_Watched, Sequence[bytes]]] = deque()
        self._watched_of: dict[bytes, list[_Watched]] = {}

    def explain(self, logged: Logged, keys: Sequence[bytes]) -> bool:
        """Whether a decision before this one, in profiles with these keys, explains differences."""
        since, latest = logged.moment - self._lag, self._latest
        return any(
            _elsewhere(latest[key], logged.partition) >= since for key in keys if key in latest
        )

    def add(self, logged: Logged, keys: Sequence[bytes]) -> None:
        """Take in a decision, which may explain differences that are watched."""
        moment, partition, _ = logged
        last, before = self._batches.get(partition, (-inf, -inf))
        if last != moment:
            self._batches[partition] = moment, last
            before = last
        if self._watched_of:
            self._look_back(logged, before, keys)
        latest = self._latest
        for key in keys:
            if (known := latest.get(key)) is None:
                latest[key] = _Latest(moment, partition, -inf)
            else:
                latest[key] = _Latest(moment, partition, _elsewhere(known, partition))

    def watch(self, difference: Difference, moment: float, keys: Sequence[bytes]) -> None:
        """Let decisions that follow explain a difference."""
        watched = _Watched(moment, difference)
        self._watched.append((watched, keys))
        for key in keys:
            self._watched_of.setdefault(key, []).append(watched)

    def settled(self, moment: float) -> list[Difference]:
        """Return differences, no longer watched, that no decision of a moment or later explains."""
        found, most = [], max(self._lag, ANEW)
        while self._watched and self._watched[0][0].moment < moment - most:
            watched, keys = self._watched.popleft()
            for key in keys:
                rest = self._watched_of[key]
                rest.remove(watched)
                if not rest:
                    del self._watched_of[key]
            found.append(watched.difference)
        return found

    def _look_back(self, logged: Logged, before: float, keys: Sequence[bytes]) -> None:
        """`before` is the moment of the batch before that of the decision in its partition."""
        for key in keys:
            for moment, difference in self._watched_of.get(key, ()):
                near = logged.moment - moment <= self._lag or before <= moment
                difference.explained |= near and difference.partition != logged.partition


def _elsewhere(latest: _Latest, partition: int) -> float:
    """Return the moment of the latest decision that is in another partition."""
    return latest.elsewhere if latest.partition == partition else latest.moment
