"""Judges differences, each once all is known that may explain it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final

from models.profiles.differences import Difference
from models.profiles.neighbours import (
    ANEW,
    FIRST_CATCH_UP,
    Logged,
    Neighbours,
    Part,
    Recent,
    Uncertain,
    is_anew,
)
from models.profiles.possible import Move, Possible
from models.profiles.totals import Totals

MAX_WAITING: Final = 10_000
"""Differences that wait to be explained by what is made anew, at most: older ones do no longer."""


@dataclass
class _Case:
    """A difference that is not judged yet."""

    difference: Difference
    moment: float
    own: Sequence[Recent | None]
    computed: Mapping[str, float]
    moves: Sequence[Sequence[Move]]
    uncertain: list[Uncertain | None] = field(default_factory=list)
    has_more: bool = False
    """Whether more is uncertain than when it was judged."""


class Judging:
    """Takes all decisions in the order of their moments, and the differences of some."""

    def __init__(self, totals: Totals, lag: float) -> None:
        """`lag` is how many seconds profiles may be behind, of partitions of other workers."""
        self._totals = totals
        self._lag = lag
        self._neighbours = Neighbours(lag)
        self._moves: dict[bytes, list[Move]] = {}
        self._open: deque[_Case] = deque()
        self._waiting: deque[_Case] = deque()
        self._waiting_of: dict[bytes, deque[_Case]] = {}
        self._judged: list[Difference] = []

    def add(
        self,
        logged: Logged,
        parts: Sequence[Part | None],
        difference: Difference | None = None,
        computed: Mapping[str, float] | None = None,
    ) -> None:
        """Take in a decision, by side; `computed` are the `Totals` of one that differs."""
        self._judge(logged.moment)
        own = self._neighbours.add(logged, parts)
        if self._waiting:
            self._look_back(own)
        if difference is None:
            return
        if difference.profile_lag and not logged.decision.profile:
            difference.explained = True  # its worker could not read profiles at all
            self._judged.append(difference)
            return
        since = logged.moment - difference.profile_lag - self._lag
        moves = [self._moves_of(part, since) if difference.profile_lag else [] for part in parts]
        self._open.append(_Case(difference, logged.moment, own, computed or {}, moves))

    def learn(self, second: float, parts: Sequence[Part | None], change: int) -> None:
        """Take in a label, on a decision by side, that decisions see from a second on."""
        for part in parts:
            if part is not None:
                moves = self._moves.setdefault(part.key, [])
                while moves and moves[0].due < second - FIRST_CATCH_UP - self._lag:
                    moves.pop(0)
                moves.append(Move(second, part.second, change))

    def judged(self) -> list[Difference]:
        """Return the differences that were judged since the last call."""
        found, self._judged = self._judged, []
        return found

    def end(self) -> None:
        """Judge all that are left."""
        self._judge(inf)

    def _judge(self, moment: float) -> None:
        """Judge what no decision of a moment or later explains."""
        while self._open and self._open[0].moment < moment - self._lag:
            case = self._open.popleft()
            lag = case.difference.profile_lag
            of = self._neighbours.uncertain
            case.uncertain = [of(each, lag) if each else None for each in case.own]
            if self._is_possible(case):
                self._close(case, explained=True)
            else:
                self._wait(case)
        while self._waiting and self._waiting[0].moment < moment - ANEW:
            self._give_up()

    def _wait(self, case: _Case) -> None:
        self._waiting.append(case)
        for each in case.own:
            if each is not None:
                self._waiting_of.setdefault(each.part.key, deque()).append(case)
        if len(self._waiting) > MAX_WAITING:
            self._give_up()

    def _give_up(self) -> None:
        case = self._waiting.popleft()
        for each in case.own:
            if each is not None:
                same = self._waiting_of[each.part.key]
                same.popleft()
                if not same:
                    del self._waiting_of[each.part.key]
        self._close(case, explained=case.has_more and self._is_possible(case))

    def _close(self, case: _Case, *, explained: bool) -> None:
        case.difference.explained = explained
        self._judged.append(case.difference)

    def _look_back(self, own: Sequence[Recent | None]) -> None:
        """Note for what waits what may have been made before, and is made anew now."""
        for side, later in enumerate(own):
            if later is None:
                continue
            for case in reversed(self._waiting_of.get(later.part.key, ())):
                if case.moment < later.before:
                    break
                mine, uncertain = case.own[side], case.uncertain[side]
                if mine and uncertain and is_anew(later, mine):
                    uncertain.more.append(later.part)
                    case.has_more = True

    def _moves_of(self, part: Part | None, since: float) -> list[Move]:
        if part is None:
            return []
        return [each for each in self._moves.get(part.key, ()) if each.due >= since]

    def _is_possible(self, case: _Case) -> bool:
        """Whether each value that differs may have been read."""
        left = dict(case.difference.values)
        for number, side in enumerate(self._totals.sides):
            own = {name: left.pop(name) for name in side.values if name in left}
            if not own:
                continue
            if (uncertain := case.uncertain[number]) is None:
                return False
            may = Possible(side, self._totals.unit, case.computed, uncertain, case.moves[number])
            if not all(may.of(name).has(pair.stored) for name, pair in own.items()):
                return False
        return not left
