"""Cells of decisions: counts and sums of scores by week, model, policy and outcome, and by rule.

They are a function of the decision log of one partition: whoever has read it up to an offset has
the same, whatever batches it read. No clock is read. Sums are of whole numbers, so those of several
partitions can be added up in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Annotated, Final

import numpy as np
from msgspec import Meta, Struct, field

from models.activity import OUTCOMES
from models.control.versions import Version
from models.counts import Count
from models.quality.weeks import DAYS, week_of
from models.records import Decision, Outcome

MILLION: Final = 1_000_000
"""Scores are summed up in whole millionths."""
KEPT_WEEKS: Final = 16
"""Weeks of a partition that are kept. More than are shown: a clock that is wrong makes weeks of its
own, and some of them are to push out none that is shown."""
MAX_VERSIONS: Final = 24
"""Pairs of a model and a policy that a week has cells for; what further ones decide is in one cell
of all `OTHERS`."""
MAX_RULES: Final = 200
"""Rules that a week has cells for; further ones are counted as `OTHERS`."""
OTHERS: Final = "(others)"
"""The name of the models, policies and rules that have no cells of their own."""
_MAX_DROPPED: Final = 64
_APPROVE, _FLAG, _BLOCK = range(len(OUTCOMES))
_version_of: Final = attrgetter("decided_at", "model_version", "policy_version")


class Cell(Struct, array_like=True):
    """The decisions of one outcome."""

    rows: Count = 0
    score: Count = 0
    """Sum of their scores, each rounded to a millionth; in millionths."""
    explored: Count = 0
    """Those that are in the control group."""


def _three() -> list[Cell]:
    return [Cell() for _ in OUTCOMES]


ByOutcome = Annotated[list[Cell], Meta(min_length=len(OUTCOMES), max_length=len(OUTCOMES))]
"""Cells in the order of `OUTCOMES`."""
Days = Annotated[list[Count], Meta(min_length=DAYS, max_length=DAYS)]


class Week(Struct):
    """The decisions of one week."""

    days: Days = field(default_factory=lambda: [0] * DAYS)
    """Their number on each day, from Monday on."""
    rules: dict[str, Count] = {}
    """How many each rule has hit, by its id."""
    versions: dict[str, dict[str, ByOutcome]] = {}
    """By model version, then by the name of the policy; see `policy_name`."""


class Changes(Struct):
    """What a batch has changed, and so has to be written."""

    versions: set[tuple[int, str, str]] = set()
    """Week, model and policy of cells."""
    weeks: set[int] = set()
    """Weeks whose days or rules are others."""
    dropped: dict[int, Week] = {}
    """Weeks that are not kept any more, as they were."""
    order: bool = False
    """Whether other weeks are kept, or in another order."""


class DecisionCells(Struct):
    """The cells of one partition.

    They are those of the weeks that were counted in last, not of the latest ones: one decision by a
    clock that is a year ahead would then push out all others.
    """

    weeks: dict[int, Week] = {}
    """By number; the week that was counted in last comes last."""
    dropped: list[int] = []
    """Weeks that are not kept any more, the last ones of them. A decision of one of these is not
    counted again: a week is there as a whole, or not at all."""
    dropped_rows: Count = 0
    """Decisions of weeks that are not kept."""

    @property
    def rows(self) -> int:
        """The decisions that were added, with those of weeks that are not kept."""
        return self.dropped_rows + sum(sum(each.days) for each in self.weeks.values())

    def add(self, decisions: Sequence[Decision], *, together: bool = False) -> Changes:
        """Add decisions in the order of the log, and return what they have changed.

        `together` says that one call of `models.deciding.decide` has made them, or several have,
        one after the other: then it is not looked up for each which model and policy decided.
        """
        changes = Changes()
        alike = together and decisions and _version_of(decisions[0]) == _version_of(decisions[-1])
        if alike:
            self._add(decisions, changes)
        else:
            for _, same in groupby(decisions, key=_version_of):
                self._add(list(same), changes)
        return changes

    def _add(self, same: Sequence[Decision], changes: Changes) -> None:
        first = same[0]
        number, day = week_of(first.decided_at)
        week = self._week(number, changes)
        if week is None:
            self.dropped_rows += len(same)
            changes.order = True
            return
        week.days[day] += len(same)
        changes.weeks.add(number)
        model, policy = first.model_version, policy_name(first.policy_version)
        model, policy, cells = _cells(week, model, policy)
        changes.versions.add((number, model, policy))
        approve, flag = Outcome.APPROVE, Outcome.FLAG
        rows, score = len(same), _millionths([each.score for each in same])
        for each in [each for each in same if each.hits or each.decision is not approve]:
            if each.hits:
                _count(week.rules, each.hits)
            if (outcome := each.decision) is not approve:
                cell, stopped = cells[_FLAG if outcome is flag else _BLOCK], _millionth(each.score)
                cell.rows += 1
                cell.score += stopped
                if each.explored:
                    cell.explored += 1
                rows -= 1
                score -= stopped
        approved = cells[_APPROVE]
        approved.rows += rows
        approved.score += score

    def _week(self, number: int, changes: Changes) -> Week | None:
        """Return a week, as the one that was counted in last; None if it was dropped before."""
        if self.weeks and next(reversed(self.weeks)) == number:
            return self.weeks[number]
        if number in self.dropped:
            return None
        changes.order = True
        week = self.weeks.pop(number, None) or Week()
        if len(self.weeks) >= KEPT_WEEKS:
            oldest = next(iter(self.weeks))
            dropped = self.weeks.pop(oldest)
            self.dropped_rows += sum(dropped.days)
            self.dropped = [*self.dropped, oldest][-_MAX_DROPPED:]
            changes.dropped[oldest] = dropped
        self.weeks[number] = week
        return week


@lru_cache(maxsize=1_024)
def policy_name(policy_version: str) -> str:
    """Return the number of a policy, without the offset of its lists; thresholds as they are."""
    version = Version.of(policy_version)
    return str(version.number) if version else policy_version


def named(week: Week | None, model: str, policy: str) -> tuple[str, str]:
    """Return the model and policy in whose cells a week counts decisions of these."""
    if week is None or policy in week.versions.get(model, ()) or OTHERS not in week.versions:
        return model, policy
    return OTHERS, OTHERS


def _cells(week: Week, model: str, policy: str) -> tuple[str, str, list[Cell]]:
    """Return the cells of a version with its name, which may be that of the others."""
    cells = week.versions.get(model, {}).get(policy)
    if cells is None:
        if sum(map(len, week.versions.values())) >= MAX_VERSIONS:
            model = policy = OTHERS
        cells = week.versions.setdefault(model, {}).setdefault(policy, _three())
    return model, policy, cells


def _count(rules: dict[str, int], hits: Iterable[str]) -> None:
    for rule in hits:
        name = rule if rule in rules or len(rules) < MAX_RULES else OTHERS
        rules[name] = rules.get(name, 0) + 1


def _millionth(score: float) -> int:
    return round(score * MILLION)


def _millionths(scores: Sequence[float]) -> int:
    found = np.fromiter(scores, np.float64, len(scores))
    return int(np.rint(found * MILLION).sum())
