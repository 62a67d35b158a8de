"""Makes the report of a day from Postgres, model cards and Kafka; keeps and publishes it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping, Sequence
from datetime import date, datetime
from typing import Final, TypeVar

import msgspec
from aiokafka.errors import KafkaError

from fraudapp.model_registry import ModelRegistry
from fraudapp.reports import from_kafka, from_postgres
from fraudapp.reports.daily import DailyReport, Drift
from fraudapp.reports.render import as_html
from fraudapp.settings import Settings
from fraudapp.sinks.archive.archive import archive_at
from fraudapp.sinks.base import unavailable
from fraudapp.sinks.postgres.connection import FAILURES, engine, refusal
from fraudapp.sinks.postgres.day_partitions import moments
from fraudapp.sinks.postgres.migrate import migrate
from models.artifact import ModelFileError
from models.control.records import Published
from models.drift import stability_index
from models.errors import Rejected
from models.quality.labelled import unit_of
from models.watch import checks
from models.watch.cells import Cell
from models.watch.expected import Expected, expected_by, scores_by
from models.watch.judging import WHOLE

log = logging.getLogger(__name__)
T = TypeVar("T")

BROKER_TIMEOUT: Final = 60.0
"""Seconds for each read from Kafka; the report is made without those that fail."""


class DayToCome(Rejected):
    """The day has not begun, and there are no decisions of it."""


async def make(settings: Settings, day: date, now: datetime) -> DailyReport:
    """Make the report of a UTC day, and keep it in Postgres in place of an earlier one of that day.

    Raises `SinkUnavailable`. Raises `DayToCome` for a day after `now`, unless it has decisions of a
    worker whose clock was ahead.
    """
    database = engine(settings)
    try:
        with unavailable("postgres", *FAILURES, refusal=refusal):
            await migrate(database)
            schema = settings.transaction_schema
            report, sample = await from_postgres.read(
                database, day, schema.currency_field, unit_of(schema)
            )
            if day > now.date() and not report.total:
                raise DayToCome
            usual = await from_postgres.usual_total(database, day)
            is_whole = report.total >= WHOLE * usual
            letters = await _or_none(from_kafka.dead_letters(settings, *moments(day)))
            report = msgspec.structs.replace(
                report,
                drift=await _all_compared(settings, report.drift, is_whole),
                dead_letters=letters,
                latency=await _or_none(from_kafka.latency(settings, sample)) if sample else None,
            )
            return await from_postgres.keep(database, report, now)
    finally:
        await database.dispose()


async def publish(settings: Settings, report: DailyReport) -> str:
    """Write the report's page into the archive and return its key; raises `SinkUnavailable`."""
    key = f"reports/date={report.date}/report.html"
    archive = archive_at(settings)
    try:
        await archive.open()
        await archive.write(key, as_html(report).encode(), "text/html; charset=utf-8")
    finally:
        await archive.close()
    return key


async def _all_compared(settings: Settings, drifts: Sequence[Drift], is_whole: bool) -> list[Drift]:
    """Compare the scores of each model with its card, that of the control topic first."""
    if not drifts:
        return []
    of_topic = await _or_none(from_kafka.models(settings)) or {}
    return [_compared(settings, each, of_topic, is_whole) for each in drifts]


def _compared(
    settings: Settings, drift: Drift, of_topic: Mapping[str, Published], is_whole: bool
) -> Drift:
    version = drift.model_version
    try:
        card = ModelRegistry.of(settings).card_of(version, of_topic)
    except ModelFileError:
        where = f"{settings.control_topic} or {settings.model_dir}"
        unknown = f"there is no card of the model in {where}"
        return msgspec.structs.replace(drift, unknown=unknown)
    training = scores_by(card.training)
    if training is None:
        unknown = "the model's card has no scores of the training data; train it again"
        return msgspec.structs.replace(drift, unknown=unknown)
    index = stability_index(training, drift.scores)
    compared = msgspec.structs.replace(drift, training=training, stability_index=index)
    return _watched(compared, expected_by(card.training, card.features), is_whole)


def _watched(drift: Drift, expected: Expected | None, is_whole: bool) -> Drift:
    """Return the same with what the watch says of the scores; features are not in Postgres.

    Days that are not whole are not judged: see `models.watch.judging`.
    """
    if expected is None or drift.score is None:
        return drift
    cell = Cell(rows=sum(drift.scores), score=drift.score, scores=drift.scores)
    return msgspec.structs.replace(
        drift,
        is_chance=checks.scores(cell, expected).is_chance,
        alarms=[each.says for each in checks.found(cell, expected)] if is_whole else [],
    )


async def _or_none(reading: Awaitable[T]) -> T | None:
    try:
        return await asyncio.wait_for(reading, BROKER_TIMEOUT)
    except (KafkaError, OSError, asyncio.TimeoutError) as exc:
        log.warning("the broker does not answer, so the report is incomplete: %r", exc)
        return None
