"""How good decisions were: by week, model, policy, outcome and rule, with intervals.

Where nothing is labelled there are no rates: they are None. Which transactions get labels is not by
chance, so a rate is of those that are labelled, and `Maturity` says how many these are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from models.activity import OUTCOMES
from models.policies.intervals import Share, wilson
from models.quality import control_group
from models.quality.cells import MILLION, DecisionCells
from models.quality.documents import (
    ControlGroup,
    DecisionQuality,
    Maturity,
    Measured,
    OutcomeQuality,
    Period,
    RuleQuality,
    VersionQuality,
)
from models.quality.tallies import (
    LabelledCells,
    RuleTally,
    Tallies,
    Tally,
    WeekTally,
    explored,
    tallies,
    weeks,
)
from models.quality.weeks import DAY_SECONDS, DAYS, end_of_day, name_of, week_at
from models.records import Outcome

MAX_WEEKS: Final = 13
"""Weeks that are told of, at most: a quarter."""
MATURE_DAYS: Final = 7
"""Days after which most labels have come."""


def quality(
    decided: Mapping[int, DecisionCells],
    labelled: LabelledCells,
    *,
    now: float,
    unit: float,
    count: int = MAX_WEEKS,
    mature_days: int = MATURE_DAYS,
) -> DecisionQuality:
    """Return what is known of the last `count` weeks as of `now`, in seconds since 1970.

    `decided` are the cells of all partitions. Weeks to come, by a clock that is ahead, are left
    out until they have come.
    """
    found = weeks(decided, labelled, last=week_at(now), count=count)
    limit = now - mature_days * DAY_SECONDS
    mature = {each: tally for each, tally in found.items() if end_of_day(each, DAYS - 1) <= limit}
    return DecisionQuality(
        at=now,
        mature_days=mature_days,
        amount_unit=unit,
        total=_period(None, found, limit),
        mature=_period(None, mature, limit),
        weeks=[_period(name_of(each), {each: tally}, limit) for each, tally in found.items()],
    )


class Summed(NamedTuple):
    """What is known of some decisions, and of each model, policy and rule among them."""

    measured: Measured
    versions: list[VersionQuality]
    rules: list[RuleQuality]


def summed(
    versions: Mapping[tuple[str, str], Sequence[Tallies]], rules: Mapping[str, RuleTally]
) -> Summed:
    """Return what tallies come to: those of each model and policy, and those of each rule."""
    in_order = {version: versions[version] for version in sorted(versions)}
    in_all = _measured([each for cells in in_order.values() for each in cells])
    frauds = sum(each.frauds for each in in_all.outcomes.values())
    return Summed(
        in_all,
        [
            VersionQuality(model=model, policy=policy, measured=_measured(cells))
            for (model, policy), cells in in_order.items()
        ],
        [_rule(rule, rules[rule], frauds) for rule in sorted(rules)],
    )


def _period(name: str | None, found: Mapping[int, WeekTally], limit: float) -> Period:
    versions: dict[tuple[str, str], list[Tallies]] = {}
    rules: dict[str, RuleTally] = {}
    for week in found.values():
        for version, each in week.versions.items():
            versions.setdefault(version, []).append(each)
        for rule, counted in week.rules.items():
            rules.setdefault(rule, RuleTally()).add(counted)
    measured, of_versions, of_rules = summed(versions, rules)
    return Period(
        week=name,
        maturity=_maturity(found, measured, limit),
        measured=measured,
        versions=of_versions,
        rules=of_rules,
    )


def _maturity(found: Mapping[int, WeekTally], measured: Measured, limit: float) -> Maturity:
    rows = sum(sum(week.days) for week in found.values())
    old = sum(
        rows_of_day
        for number, week in found.items()
        for day, rows_of_day in enumerate(week.days)
        if end_of_day(number, day) <= limit
    )
    labelled = sum(each.frauds + each.legitimate for each in measured.outcomes.values())
    return Maturity(
        decided=old / rows if rows else None, labelled=labelled / rows if rows else None
    )


def _measured(each_policy: Sequence[Tallies]) -> Measured:
    sums = tallies()
    for three in each_policy:
        for into, tally in zip(sums, three, strict=True):
            into.merge(tally)
    by = dict(zip(OUTCOMES, sums, strict=True))
    frauds = sum(tally.frauds for tally in sums)
    legitimate = sum(tally.legitimate for tally in sums)
    blocked, flagged = by[Outcome.BLOCK], by[Outcome.FLAG]
    return Measured(
        rows=sum(tally.rows for tally in sums),
        outcomes={outcome.value: _outcome(tally) for outcome, tally in by.items()},
        recall_block=_share(blocked.frauds, frauds),
        recall_stopped=_share(blocked.frauds + flagged.frauds, frauds),
        false_positives=_share(blocked.legitimate, legitimate),
        control=_control(each_policy, sums),
    )


def _outcome(tally: Tally) -> OutcomeQuality:
    return OutcomeQuality(
        rows=tally.rows,
        explored=tally.explored,
        frauds=tally.frauds,
        legitimate=tally.legitimate,
        expected=tally.score / MILLION / tally.rows if tally.rows else None,
        observed=_share(tally.frauds, tally.labelled),
        fraud_amounts=dict(sorted(tally.amounts.items())),
    )


def _control(each_policy: Iterable[Tallies], sums: Tallies) -> ControlGroup | None:
    rows = sum(tally.explored for tally in sums)
    frauds = sum(tally.explored_frauds for tally in sums)
    legitimate = sum(tally.explored_legitimate for tally in sums)
    if not rows + frauds + legitimate:
        return None
    blocked = OUTCOMES.index(Outcome.BLOCK)
    through = sum(tally.frauds for place, tally in enumerate(sums) if place != blocked)
    of_policies = [one for three in each_policy for tally in three for one in explored(tally)]
    return ControlGroup(
        rows=rows,
        frauds=frauds,
        legitimate=legitimate,
        observed=_share(frauds, frauds + legitimate),
        recall=control_group.recall(of_policies, through - frauds),
    )


def _rule(name: str, tally: RuleTally, frauds: int) -> RuleQuality:
    return RuleQuality(
        rule=name,
        rows=tally.rows,
        frauds=tally.frauds,
        legitimate=tally.legitimate,
        observed=_share(tally.frauds, tally.frauds + tally.legitimate),
        recall=_share(tally.frauds, frauds),
    )


def _share(part: int, whole: int) -> Share | None:
    return wilson(part, whole) if whole else None
