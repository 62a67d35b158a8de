"""Judges the days of all models, and says what has changed since when."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from models.watch import checks
from models.watch.bounds import LIMIT, of_count
from models.watch.cells import Cell, Day, day_at, name_of
from models.watch.checks import DAILY, Finding
from models.watch.documents import Alarm, Kind, Watched, WatchedDay, WatchedModel
from models.watch.expected import Expected

Days = Mapping[int, Day]
"""Cells of the whole cluster by day, then by model version."""
ExpectedOf = Callable[[str], Expected | None]
"""Returns what is expected of the rows of a model; None if its card cannot be read."""
WHOLE: Final = 0.5
"""Share of a usual day's rows from which on a day is judged: hours of the night are another mix of
transactions, and as much fraud as at noon is then a larger share."""
COMPARED_DAYS: Final = 7
"""Days before a day with whose blocks its own are compared, at most."""
LEAST_DAYS: Final = 2
SHOWN_DAYS: Final = 7
"""The last days that are told of."""

ADVICE: Final[Mapping[Kind, str]] = {
    "feature": "look up what has changed in its fields where they come from; if that is right and "
    "is to stay, train a model on the new transactions",
    "scores": "look which features have changed; without any, compare fraud that was reported "
    "with what was blocked",
    "high_scores": "look whether fields come stale or rounded, and how fraud that was reported "
    "since then differs from what was blocked",
    "certainty": "look at the highest scores below the edge: fraud may have changed its ways; "
    "train a model on transactions with labels of these days",
    "blocks": "compare with the changes of policies and lists, and with the other alarms; "
    "`fraudapp policy rollback` takes a policy back",
    "precision": "see what the labels say by model, policy and rule on the page `/quality`; "
    "train a model on them",
}
MANY: Final = (
    "look at the last blocks: an attack, or honest clients? `fraudapp policy rollback` takes a "
    "model back that has come with a policy"
)
"""Of high scores that are more than expected."""
WEIGHTIEST: Final[Sequence[Kind]] = (
    "high_scores",
    "blocks",
    "precision",
    "certainty",
    "scores",
    "feature",
)
"""The order of alarms: first those that say that fraud is missed, or honest clients are stopped."""


def watched(days: Days, expected: ExpectedOf, now: float) -> Watched:
    """Return what is known as of `now`, in seconds since 1970.

    Of each model the newest day is judged that has as many rows as half of a usual day: today, or
    else yesterday. Days to come, by a clock that is ahead, are left out.
    """
    today = day_at(now)
    days = {number: days[number] for number in sorted(days) if number <= today}
    versions = sorted({version for day in days.values() for version in day})
    alarms = [
        alarm
        for version in versions
        for alarm in _of_model(days, version, expected(version), today)
    ]
    for number in (today, today - 1):
        if number in days and is_whole(days, number):
            alarms += _of_blocks(days, number)
            break
    told = (_told(days, version, expected(version)) for version in versions)
    models = [each for each in told if each.days]
    return Watched(at=now, alarms=in_order(alarms), models=models)


def in_order(alarms: Iterable[Alarm]) -> list[Alarm]:
    """Return alarms by kind, the weightiest first."""
    return sorted(alarms, key=lambda alarm: WEIGHTIEST.index(alarm.kind))


def is_whole(days: Days, number: int, version: str | None = None) -> bool:
    """Whether a day has rows enough to be judged, those of all models, or of one of them.

    What is usual is what three of four earlier days stay below. The first day is judged by what it
    has.
    """
    rows = _rows(days, number)
    of_all = usual([_rows(days, each) for each in days if each < number])
    if rows < WHOLE * of_all:
        return False
    if version is None:
        return rows > 0
    own = [_rows(days, each, version) for each in days if each < number and version in days[each]]
    return 0 < _rows(days, number, version) >= WHOLE * (usual(own) if own else of_all)


def usual(rows: Sequence[int]) -> int:
    """Return what the rows of three of four days stay below; 0 without days."""
    return sorted(rows)[3 * len(rows) // 4] if rows else 0


def _rows(days: Days, number: int, version: str | None = None) -> int:
    day = days.get(number, {})
    if version is not None:
        return day[version].rows if version in day else 0
    return sum(cell.rows for cell in day.values())


def _of_model(days: Days, version: str, expected: Expected | None, today: int) -> Iterator[Alarm]:
    if expected is None:
        return
    judged = (day for day in (today, today - 1) if is_whole(days, day, version))
    newest = next(judged, None)
    if newest is None:
        return
    for finding in checks.found(days[newest][version], expected):
        since = _since(days, version, expected, newest, finding)
        says = f"Of model {version}, {finding.says}."
        yield _alarm(finding, newest, since, says, model=version)


def _since(days: Days, version: str, expected: Expected, newest: int, finding: Finding) -> int:
    """Return the first of the days without a break that have such a finding."""
    since = newest
    while is_whole(days, since - 1, version) and any(
        (each.kind, each.feature) == (finding.kind, finding.feature)
        for each in checks.found(days[since - 1][version], expected)
    ):
        since -= 1
    return since


def _of_blocks(days: Days, number: int) -> Iterator[Alarm]:
    """Compare the blocks of all models, rules and lists with those of the days before."""
    before = [each for each in days if each < number and is_whole(days, each)][-COMPARED_DAYS:]
    if len(before) < LEAST_DAYS:
        return
    cells = [cell for each in before for cell in days[each].values()]
    # One block more than there were: where there were none, one is no surprise.
    blocks, rows = 1 + sum(each.blocks for each in cells), sum(each.rows for each in cells)
    now = _rows(days, number)
    observed = sum(each.blocks for each in days[number].values())
    expected = blocks / rows * now
    if of_count(observed, expected, math.hypot(DAILY, 1.0 / math.sqrt(blocks))) > LIMIT:
        says = (
            f"{observed:,} of {now:,} transactions were blocked, and {expected:,.0f} were to be "
            f"expected by the {len(before)} days before"
        )
        finding = Finding("blocks", "", expected, observed, says)
        yield _alarm(finding, number, number, f"{says}.")


def _alarm(finding: Finding, day: int, since: int, says: str, model: str = "") -> Alarm:
    is_more = finding.kind == "high_scores" and finding.observed > finding.expected
    return Alarm(
        kind=finding.kind,
        feature=finding.feature,
        model=model,
        day=name_of(day),
        since=name_of(since),
        expected=finding.expected,
        observed=finding.observed,
        says=says,
        advice=MANY if is_more else ADVICE[finding.kind],
    )


def _told(days: Days, version: str, expected: Expected | None) -> WatchedModel:
    told = [
        _day(number, days[number][version], expected, is_whole(days, number, version))
        for number in sorted(days, reverse=True)[:SHOWN_DAYS]
        if version in days[number]
    ]
    return WatchedModel(model=version, days=told)


def _day(number: int, cell: Cell, expected: Expected | None, whole: bool) -> WatchedDay:
    if expected is None:
        unjudged = "the card of the model cannot be read, or says nothing of its scores"
    elif not whole:
        unjudged = "it has less than half of a usual day's transactions"
    else:
        unjudged = "" if expected.features else "its features are not: the card has no bins of them"
    features = checks.features(cell, expected) if expected else {}
    return WatchedDay(
        day=name_of(number),
        rows=cell.rows,
        flags=cell.flags,
        blocks=cell.blocks,
        unjudged=unjudged,
        scores=checks.scores(cell, expected).psi if expected else None,
        features={name: each.psi for name, each in features.items()},
        high=checks.high(cell, expected) if expected else [],
    )
