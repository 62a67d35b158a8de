"""How good the decisions of one day were, by the labels that have come since; from Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.activity import OUTCOMES
from models.policies.intervals import Share
from models.quality.cells import MILLION
from models.quality.documents import Measured, RuleQuality, VersionQuality
from models.quality.quality import summed
from models.quality.tallies import RuleTally, Tally, tallies

_LABELLED: Final = """
    FROM decisions AS d LEFT JOIN labels AS l
    ON l.transaction_id = d.transaction_id AND l.effective
    AND l.decided_at BETWEEN :begin AND :end
    WHERE d.decided_at BETWEEN :begin AND :end
"""
_COUNTS: Final = (
    "rows",
    "score",
    "frauds",
    "legitimate",
    "explored",
    "explored_frauds",
    "explored_legitimate",
    "weight",
)
"""Numbers of a `Tally`, in the order of the columns."""
_FRAUD: Final = "FILTER (WHERE l.label = 1)"
_LEGITIMATE: Final = "FILTER (WHERE l.label = 0)"
_CELLS: Final = f"""
    SELECT model_version, split_part(policy_version, '+', 1), decision, count(*),
        sum(round(score * {MILLION})::bigint), count(*) {_FRAUD}, count(*) {_LEGITIMATE},
        count(explored), count(explored) {_FRAUD}, count(explored) {_LEGITIMATE},
        coalesce(sum(round({MILLION} / explored)::numeric) {_FRAUD}, 0),
        coalesce(sum(round(amount / :unit)::numeric) {_FRAUD}, 0)
    {_LABELLED} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_RULES: Final = f"""
    SELECT rule, count(*), count(*) FILTER (WHERE label = 1), count(*) FILTER (WHERE label = 0)
    FROM (SELECT d.hits, l.label {_LABELLED}) AS hit
    CROSS JOIN LATERAL jsonb_array_elements_text(hits) AS rule
    GROUP BY 1 ORDER BY 1
"""  # noqa: S608


class DayQuality(Struct, frozen=True, kw_only=True):
    """How good the decisions of a day were, as far as labels had come when it was reported."""

    labelled: float
    """Share of the decisions that have a label."""
    amount_unit: float
    """The smallest unit of amounts."""
    measured: Measured
    versions: list[VersionQuality]
    rules: list[RuleQuality]


async def read(
    connection: AsyncConnection, bounds: dict[str, Any], unit: float, *, of_currency: bool
) -> DayQuality | None:
    """Return the quality of the decisions within `bounds`; None if none has a label.

    Amounts are left out if they are `of_currency`. Raises the errors of SQLAlchemy.
    """
    cells = (await connection.execute(text(_CELLS), {**bounds, "unit": unit})).all()
    hits = (await connection.execute(text(_RULES), bounds)).all()
    versions: dict[tuple[str, str], list[tuple[Tally, ...]]] = {}
    for model, policy, outcome, *counts, amount in cells:
        three = versions.setdefault((model, policy), [tallies()])[0]
        numbers: dict[str, Any] = dict(zip(_COUNTS, map(int, counts), strict=True))
        found = Tally(**numbers)
        if amount and not of_currency:
            found.amounts[""] = int(amount)
        three[OUTCOMES.index(outcome)].merge(found)
    measured, of_versions, of_rules = summed(
        versions, {rule: RuleTally(*counts) for rule, *counts in hits}
    )
    labelled = sum(each.frauds + each.legitimate for each in measured.outcomes.values())
    if not labelled:
        return None
    return DayQuality(
        labelled=labelled / measured.rows,
        amount_unit=unit,
        measured=measured,
        versions=of_versions,
        rules=of_rules,
    )


def lines(quality: DayQuality | None) -> Iterator[str]:
    """Yield the sentences of a report."""
    if quality is None:
        yield "Quality: unknown, no label has come on these decisions."
        return
    measured = quality.measured
    yield f"Quality, by labels on {quality.labelled:.1%} of the decisions:"
    for outcome, each in measured.outcomes.items():
        expected = "unknown" if each.expected is None else f"{each.expected:.1%}"
        yield (
            f"  {outcome}: {each.frauds:,} frauds and {each.legitimate:,} legitimate; "
            f"{shown(each.observed)} are frauds, {expected} expected by the scores."
        )
    yield (
        f"  Of the frauds, {shown(measured.recall_block)} were blocked; of the legitimate, "
        f"{shown(measured.false_positives)}."
    )
    if control := measured.control:
        yield (
            f"  Control group: {control.rows:,} let through, {control.frauds:,} of them frauds; "
            f"by these, {shown(control.recall)} of the frauds are blocked."
        )
    for rule in quality.rules:
        yield (
            f"  Rule {rule.rule}: {rule.rows:,} hits, {rule.frauds:,} frauds and "
            f"{rule.legitimate:,} legitimate."
        )


def rows(quality: DayQuality | None) -> Iterator[tuple[str, str, str, object]]:
    """Yield section, name, measure and value, for spreadsheets; nothing without labels."""
    if quality is None:
        return
    yield "quality", "", "labelled", quality.labelled
    for outcome, each in quality.measured.outcomes.items():
        yield "quality", outcome, "frauds", each.frauds
        yield "quality", outcome, "legitimate", each.legitimate
        yield "quality", outcome, "observed", _value(each.observed)
        yield "quality", outcome, "expected", each.expected
    yield "quality", "BLOCK", "recall", _value(quality.measured.recall_block)
    yield "quality", "BLOCK", "false positives", _value(quality.measured.false_positives)
    for rule in quality.rules:
        yield "quality of rule", rule.rule, "frauds", rule.frauds
        yield "quality of rule", rule.rule, "legitimate", rule.legitimate


def shown(share: Share | None) -> str:
    """Return a share with its interval, in words."""
    if share is None:
        return "unknown"
    return f"{share.value:.1%} ({share.low:.1%} to {share.high:.1%})"


def _value(share: Share | None) -> float | None:
    return share.value if share else None
