"""The daily report in Postgres: sums up a day there, and keeps the report."""

from __future__ import annotations

import hashlib
from datetime import date, datetime
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Numeric, cast, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from fraudapp.reports import quality
from fraudapp.reports.daily import Cell, DailyReport, Drift, by_count, summarise
from fraudapp.sinks.postgres.day_partitions import moments
from fraudapp.sinks.postgres.rows import utc
from fraudapp.sinks.postgres.schema import DailyReportRow, DecisionRow
from models.drift import EDGES
from models.quality.cells import MILLION
from models.schema.fields import UNIT
from models.watch.cells import KEPT_DAYS
from models.watch.judging import usual

MAX_REASONS: Final = 10
"""Reasons in a report, at most: the most frequent ones."""
LATENCY_SAMPLE_SIZE: Final = 200
"""Decisions of a day whose latency is measured."""

_DAY: Final = "decided_at BETWEEN :begin AND :end"
_SCORES: Final = f"""
    SELECT model_version, width_bucket(score, CAST(:edges AS float8[])) AS bin, count(*),
        sum(round(score * {MILLION})::bigint)
    FROM decisions WHERE {_DAY} GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608 - made of constants
_REASONS: Final = f"""
    SELECT reason ->> 'code', count(*)
    FROM decisions CROSS JOIN LATERAL jsonb_array_elements(reasons) AS reason
    WHERE {_DAY} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {MAX_REASONS}
"""  # noqa: S608
# Drawn by a hash: the same sample each time, and independent of the order of decisions.
_SAMPLE: Final = f"""
    SELECT input_topic, input_partition, input_offset, decided_at
    FROM decisions WHERE {_DAY}
    ORDER BY md5(transaction_id), transaction_id LIMIT {LATENCY_SAMPLE_SIZE}
"""  # noqa: S608


class Sampled(NamedTuple):
    """A sampled decision: the position of its transaction in Kafka, and when it was decided."""

    topic: str
    partition: int
    offset: int
    decided_at: datetime


async def read(
    engine: AsyncEngine, day: date, currency: str | None = None, unit: float = UNIT
) -> tuple[DailyReport, list[Sampled]]:
    """Sum up the decisions of a UTC day from one snapshot, and draw a sample of them.

    Postgres does the sums, and sends some hundred rows for any number of decisions. `currency` is
    the field that has the currency of amounts, and `unit` their smallest unit. Raises the errors of
    SQLAlchemy.
    """
    bounds = dict(zip(("begin", "end"), moments(day), strict=True))
    async with engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="REPEATABLE READ")
        report = summarise(day, await _cells(connection, currency, **bounds))
        reasons = await _rows(connection, _REASONS, bounds)
        known = await quality.read(connection, bounds, unit, of_currency=currency is not None)
        scores = await _rows(connection, _SCORES, {**bounds, "edges": list(EDGES)})
        sample = [
            Sampled(topic, partition, offset, utc(decided_at))
            for topic, partition, offset, decided_at in await _rows(connection, _SAMPLE, bounds)
        ]
    histograms: dict[str, list[int]] = {}
    sums: dict[str, int] = {}
    for version, bin_, count, score in scores:
        histograms.setdefault(version, [0] * (len(EDGES) + 1))[bin_] = count
        sums[version] = sums.get(version, 0) + int(score)
    return msgspec.structs.replace(
        report,
        reasons=dict(reasons),
        quality=known,
        drift=[
            Drift(version, histogram, score=sums[version])
            for version, histogram in histograms.items()
        ],
    ), sample


async def usual_total(engine: AsyncEngine, day: date) -> int:
    """Return the decisions of a usual day, by the last reports before it; 0 without reports.

    Raises the errors of SQLAlchemy.
    """
    row = DailyReportRow
    before = select(row.decisions).where(row.date < day).order_by(row.date.desc())
    async with engine.connect() as connection:
        found = await connection.scalars(before.limit(KEPT_DAYS))
        return usual([int(each) for each in found])


async def keep(engine: AsyncEngine, report: DailyReport, now: datetime) -> DailyReport:
    """Write the report in place of an earlier one of its day, and return the report as kept.

    Dead letters and latency stay as they were if the new report does not have them: Kafka deletes
    their records in time. Keeping the same report again changes nothing.
    """
    row = DailyReportRow
    async with engine.begin() as connection:
        lock = int.from_bytes(hashlib.sha256(f"report {report.date}".encode()).digest()[:7], "big")
        await connection.execute(select(func.pg_advisory_xact_lock(lock)))
        earlier = await connection.scalar(select(row.report).where(row.date == report.date))
        if earlier is not None:
            report = _completed(report, earlier)
        written: dict[str, Any] = msgspec.to_builtins(report)
        if written != earlier:
            values = {"decisions": report.total, "report": written, "written_at": now}
            statement = insert(row).values(date=report.date, **values)
            await connection.execute(
                statement.on_conflict_do_update(index_elements=[row.date], set_=values)
            )
    return report


def _completed(report: DailyReport, earlier: dict[str, Any]) -> DailyReport:
    try:
        known = msgspec.convert(earlier, DailyReport)
    except msgspec.ValidationError:  # written by another version
        return report
    letters = report.dead_letters
    if letters is None and known.dead_letters is not None:
        letters = by_count(known.dead_letters)  # JSONB keeps no order of keys
    return msgspec.structs.replace(
        report,
        dead_letters=letters,
        latency=report.latency or known.latency,
    )


async def _cells(
    connection: AsyncConnection, currency: str | None, begin: datetime, end: datetime
) -> list[Cell]:
    row = DecisionRow
    # As exact numbers: a sum of floats depends on the order of rows, which may change.
    amount = func.sum(cast(row.amount, Numeric))
    of_cell: list[Any] = [row.type, row.decision, func.coalesce(row.is_fraud, 0)]
    if currency:
        of_cell.append(row.transaction[currency].astext)
    # By number: an expression with a parameter would not be the same one in both places.
    places = [text(str(place)) for place, _ in enumerate(of_cell, start=1)]
    query = (
        select(*of_cell, func.count(), amount)
        .where(row.decided_at.between(begin, end))
        .group_by(*places)
        .order_by(*places)
    )
    return [
        Cell(type_, outcome, is_fraud, count, None if total is None else float(total), *unit)
        for type_, outcome, is_fraud, *unit, count, total in await connection.execute(query)
    ]


async def _rows(
    connection: AsyncConnection, query: str, values: dict[str, Any]
) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await connection.execute(text(query), values)]
