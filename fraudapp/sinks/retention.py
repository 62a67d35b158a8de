"""Retention: makes partitions for the coming days, and drops the days that have expired."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta, timezone
from time import monotonic
from typing import Final, NamedTuple

from mode import Service

from fraudapp.settings import Settings
from fraudapp.sinks.all import Sinks
from fraudapp.sinks.base import DatedSink, SinkUnavailable
from fraudapp.sinks.expiry import ClocksDisagree, Expiry, agreed_day

log = logging.getLogger(__name__)

INTERVAL: Final = 600.0
"""Seconds between two looks at the sinks."""
MARK_TIMEOUT: Final = 10.0
"""Seconds that the broker may take to mark the days that will be dropped; else none is dropped."""

Mark = Callable[[str, date], Awaitable[None]]
"""Takes the name of a sink, and the day before which nothing is left in it."""


class _Expiring(NamedTuple):
    sink: DatedSink
    expiry: Expiry
    place: str
    setting: str


class Retention(Service):
    """Looks after the partitions of Postgres and the days of the archive.

    Every worker makes partitions, which is harmless. One worker drops expired days, and slowly: see
    `expiry`. Redis needs nothing, since its keys have a time to live.
    """

    def __init__(
        self, settings: Settings, sinks: Sinks, mark: Mark, drops: Callable[[], bool]
    ) -> None:
        """`drops` tells whether this worker is now the one that drops expired days.

        `mark` is called before days are dropped. Without a mark, a sink that catches up from the
        log would get them again.
        """
        self._postgres = sinks.postgres
        self._mark = mark
        self._drops = drops
        archive = f"{settings.archive}/decisions"
        self._expiring = [
            _Expiring(sink, Expiry(days), place, setting)
            for sink, days, place, setting in (
                (sinks.postgres, settings.postgres_days, "table decisions", "FRAUD_POSTGRES_DAYS"),
                (sinks.archive, settings.archive_days, archive, "FRAUD_ARCHIVE_DAYS"),
            )
            if days is not None
        ]
        super().__init__()

    @Service.timer(INTERVAL)
    async def _look_regularly(self) -> None:
        await self.look_after(datetime.now(timezone.utc), monotonic())

    async def look_after(self, here: datetime, at: float) -> None:
        """Make partitions, announce and drop; a sink that is down has its turn at the next look.

        `here` is the time by this worker's clock, `at` is in seconds on any steady clock.
        """
        try:
            there = await self._postgres.clock()
            await self._postgres.maintain(there.date())
        except SinkUnavailable as exc:
            log.warning("no expired day is dropped for now: %s", exc)
            return
        for each in self._expiring:
            if self._drops():
                await self._expire(each, here, there, at)
            else:
                each.expiry.forget()

    async def _expire(
        self, expiring: _Expiring, here: datetime, there: datetime, at: float
    ) -> None:
        sink, expiry, _, _ = expiring
        try:
            today = agreed_day(here, there)
            await sink.ping()  # connects, if the sink was never opened
            step = expiry.look(await sink.days(), today, at)
            if step.drop:
                before = max(step.drop) + timedelta(days=1)
                await asyncio.wait_for(self._mark(sink.name, before), MARK_TIMEOUT)
                await sink.purge(before)
                log.warning("%s: dropped %s, as announced", sink.name, _listed(step.drop))
            if step.announce:
                _announce(expiring, step.announce, len(step.due) - len(step.drop), today)
        except ClocksDisagree as exc:
            expiry.forget()
            log.warning("%s: no expired day is dropped for now: %s", sink.name, exc)
        except asyncio.TimeoutError:
            log.warning(
                "%s: no expired day is dropped for now: the broker does not answer", sink.name
            )
        except SinkUnavailable as exc:
            log.warning("no expired day is dropped for now: %s", exc)


def _announce(expiring: _Expiring, next_ones: list[date], due: int, today: date) -> None:
    sink, expiry, place, setting = expiring
    log.warning(
        "%s: in %.0f minutes the decisions of %s are dropped from %s, the first of %d expired "
        "days: %s=%d, and today is %s (UTC). To keep them, set another number, or none, and "
        "restart all workers before",
        sink.name,
        INTERVAL / 60,
        _listed(next_ones),
        place,
        due,
        setting,
        expiry.keep_days,
        today,
    )


def _listed(days: list[date]) -> str:
    return " and ".join(map(str, days))
