"""What was decided on one UTC day, from the history."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta, timezone
from typing import NamedTuple

from msgspec import Struct
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import create_async_engine

from fraudapp.stores.schema import DecisionRow
from models.records import Outcome


class Cell(NamedTuple):
    """Transactions of one day that agree in type, decision and label."""

    type: str
    decision: str
    is_fraud: int
    transactions: int
    amount: float
    """Sum of amounts, account currency."""


class DailyReport(Struct, frozen=True):
    """The decisions of one UTC day; ratios are None where nothing can be divided by."""

    date: date
    total: int
    by_decision: dict[str, int]
    by_type: dict[str, dict[str, int]]
    """Decisions by outcome, for each transaction type that occurred."""
    amount_by_decision: dict[str, float]
    labelled_fraud: int
    """Transactions labelled as fraud; labels count as known wherever they are 1."""
    confusion: dict[str, dict[str, int]]
    """By outcome: how many are labelled fraud and legitimate."""
    precision_block: float | None
    """Share of blocked transactions that are labelled fraud."""
    recall_block: float | None
    """Share of labelled fraud that was blocked."""
    recall_stopped: float | None
    """Share of labelled fraud that was blocked or flagged."""


async def daily_report(postgres_url: str, day: date) -> DailyReport:
    """Read and add up one day; raises what SQLAlchemy raises."""
    begin = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
    row = DecisionRow
    query = (
        select(row.type, row.decision, row.is_fraud, func.count(), func.sum(row.amount))
        .where(row.decided_at >= begin, row.decided_at < begin + timedelta(days=1))
        .group_by(row.type, row.decision, row.is_fraud)
    )
    engine = create_async_engine(postgres_url)
    try:
        async with engine.connect() as connection:
            cells = [Cell(*cell) for cell in await connection.execute(query)]
    finally:
        await engine.dispose()
    return summarise(day, cells)


def summarise(day: date, cells: Iterable[Cell]) -> DailyReport:
    """Add up the cells of a day."""
    outcomes = [outcome.value for outcome in Outcome]
    counts = dict.fromkeys(outcomes, 0)
    amounts = dict.fromkeys(outcomes, 0.0)
    confusion = {outcome: {"fraud": 0, "legitimate": 0} for outcome in outcomes}
    types: dict[str, dict[str, int]] = {}
    for cell in cells:
        counts[cell.decision] += cell.transactions
        amounts[cell.decision] += cell.amount
        confusion[cell.decision]["fraud" if cell.is_fraud else "legitimate"] += cell.transactions
        types.setdefault(cell.type, dict.fromkeys(outcomes, 0))[cell.decision] += cell.transactions
    fraud = sum(row["fraud"] for row in confusion.values())
    blocked, flagged = confusion["BLOCK"]["fraud"], confusion["FLAG"]["fraud"]
    return DailyReport(
        date=day,
        total=sum(counts.values()),
        by_decision=counts,
        by_type=dict(sorted(types.items())),
        amount_by_decision=amounts,
        labelled_fraud=fraud,
        confusion=confusion,
        precision_block=_ratio(blocked, counts["BLOCK"]),
        recall_block=_ratio(blocked, fraud),
        recall_stopped=_ratio(blocked + flagged, fraud),
    )


def as_text(report: DailyReport) -> str:
    """Return the report for people."""
    if not report.total:
        return f"No decisions were made on {report.date} (UTC)."
    lines = [f"Decisions of {report.date} (UTC): {report.total:,}", ""]
    lines.append(f"{'':10}{'count':>12}{'amount':>22}{'labelled fraud':>16}{'legitimate':>12}")
    for outcome, count in report.by_decision.items():
        labels = report.confusion[outcome]
        amount = report.amount_by_decision[outcome]
        lines.append(
            f"{outcome:10}{count:12,}{amount:22,.2f}{labels['fraud']:16,}{labels['legitimate']:12,}"
        )
    lines += ["", f"{'':10}" + "".join(f"{outcome:>12}" for outcome in report.by_decision)]
    for type_, row in report.by_type.items():
        lines.append(f"{type_:10}" + "".join(f"{count:12,}" for count in row.values()))
    lines += [
        "",
        f"Of {report.labelled_fraud:,} labelled as fraud, {_percent(report.recall_block)} were "
        f"blocked and {_percent(report.recall_stopped)} blocked or flagged.",
        f"Of those blocked, {_percent(report.precision_block)} are labelled as fraud.",
    ]
    return "\n".join(lines)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _percent(ratio: float | None) -> str:
    return "none" if ratio is None else f"{ratio:.1%}"
