"""Adds up the cells of all partitions: whole numbers, so their order does not matter."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from models.activity import OUTCOMES
from models.quality.cells import MILLION, OTHERS, Cell, DecisionCells, Week, named
from models.quality.control_group import Explored
from models.quality.labelled import LabelledCell, LabelledWeek
from models.quality.weeks import DAYS

LabelledCells = Mapping[tuple[int, int], LabelledWeek]
"""Cells of labels by week and partition."""


@dataclass
class Tally:
    """Decisions of one outcome, and the labels on them."""

    rows: int = 0
    score: int = 0
    explored: int = 0
    frauds: int = 0
    legitimate: int = 0
    explored_frauds: int = 0
    explored_legitimate: int = 0
    weight: int = 0
    amounts: Counter[str] = field(default_factory=Counter)

    @property
    def labelled(self) -> int:
        """Those that have a label."""
        return self.frauds + self.legitimate

    def add(self, cell: Cell | LabelledCell) -> None:
        """Add a cell of decisions or of labels."""
        if isinstance(cell, Cell):
            self.rows += cell.rows
            self.score += cell.score
            self.explored += cell.explored
        else:
            self.frauds += cell.frauds
            self.legitimate += cell.legitimate
            self.explored_frauds += cell.explored_frauds
            self.explored_legitimate += cell.explored_legitimate
            self.weight += cell.weight
            self.amounts.update(cell.amounts)

    def merge(self, other: Tally) -> None:
        """Add another tally."""
        self.rows += other.rows
        self.score += other.score
        self.explored += other.explored
        self.frauds += other.frauds
        self.legitimate += other.legitimate
        self.explored_frauds += other.explored_frauds
        self.explored_legitimate += other.explored_legitimate
        self.weight += other.weight
        self.amounts.update(other.amounts)


Tallies = tuple[Tally, ...]
"""In the order of `OUTCOMES`."""


@dataclass
class RuleTally:
    """Decisions that a rule has hit, and the labels on them."""

    rows: int = 0
    frauds: int = 0
    legitimate: int = 0

    def add(self, other: RuleTally) -> None:
        """Add those of another week."""
        self.rows += other.rows
        self.frauds += other.frauds
        self.legitimate += other.legitimate


@dataclass
class WeekTally:
    """One week of the whole cluster."""

    days: list[int] = field(default_factory=lambda: [0] * DAYS)
    versions: dict[tuple[str, str], Tallies] = field(default_factory=lambda: defaultdict(tallies))
    """By model version and the name of the policy."""
    rules: dict[str, RuleTally] = field(default_factory=lambda: defaultdict(RuleTally))

    def take(self, week: Week) -> None:
        """Add the decisions of a partition."""
        self.days = [a + b for a, b in zip(self.days, week.days, strict=True)]
        for model, policies in week.versions.items():
            for policy, cells in policies.items():
                add(self.versions[model, policy], cells)
        for rule, rows in week.rules.items():
            self.rules[rule].rows += rows

    def label(self, labelled: LabelledWeek, week: Week | None) -> None:
        """Add the labels of a partition, whose decisions are those of `week`.

        What its decisions have no cells for is among the others here as it is there.
        """
        for model, policies in labelled.versions.items():
            for policy, cells in policies.items():
                add(self.versions[named(week, model, policy)], cells)
        for rule, counted in labelled.rules.items():
            is_other = week is not None and OTHERS in week.rules and rule not in week.rules
            tally = self.rules[OTHERS if is_other else rule]
            tally.frauds += counted.frauds
            tally.legitimate += counted.legitimate


def tallies() -> Tallies:
    """Return tallies of nothing."""
    return tuple(Tally() for _ in OUTCOMES)


def add(into: Tallies, cells: Iterable[Cell | LabelledCell]) -> None:
    """Add cells in the order of `OUTCOMES`."""
    for tally, cell in zip(into, cells, strict=True):
        tally.add(cell)


def explored(tally: Tally) -> list[Explored]:
    """Return the explored frauds of one policy; an empty list if there are none."""
    if not tally.explored_frauds:
        return []
    each = tally.weight / tally.explored_frauds / MILLION
    return [Explored(tally.explored_frauds, each)]


def weeks(
    decided: Mapping[int, DecisionCells], labelled: LabelledCells, *, last: int, count: int
) -> dict[int, WeekTally]:
    """Return those of `count` weeks up to the week `last` that have decisions, the newest first.

    A week that one of the partitions does not keep any more is left out as a whole.
    """
    dropped = {week for cells in decided.values() for week in cells.dropped}
    there = {week for cells in decided.values() for week in cells.weeks} - dropped
    found: dict[int, WeekTally] = {}
    for number in sorted((each for each in there if last - count < each <= last), reverse=True):
        tally = found[number] = WeekTally()
        for cells in decided.values():
            if week := cells.weeks.get(number):
                tally.take(week)
        for (week_number, partition), labels in labelled.items():
            if week_number == number:
                cells_of = decided.get(partition)
                tally.label(labels, cells_of.weeks.get(number) if cells_of else None)
    return found
