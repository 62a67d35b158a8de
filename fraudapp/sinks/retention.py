"""Keeps sinks from growing for ever: makes room for the coming days, drops what has expired."""

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
"""Seconds between two looks."""
MARKING: Final = 10.0
"""Seconds that the broker may take to have noted what is to go; without that, nothing does."""

Mark = Callable[[str, date], Awaitable[None]]


class _Expiring(NamedTuple):
    sink: DatedSink
    expiry: Expiry
    place: str
    setting: str


class Retention(Service):
    """Postgres' partitions, and the archive's days. Redis forgets by itself.

    Every worker makes partitions, which is harmless; one of them drops, see `expiry` how slowly.
    """

    def __init__(
        self, settings: Settings, sinks: Sinks, mark: Mark, drops: Callable[[], bool]
    ) -> None:
        """`drops` tells whether this worker is now the one that drops what has expired.

        `mark` is called with a sink's name and the day before which nothing is left, before it is
        dropped: else it would be saved again where the sink is filled from the log.
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
    async def _now_and_then(self) -> None:
        await self.look_after(datetime.now(timezone.utc), monotonic())

    async def look_after(self, here: datetime, at: float) -> None:
        """Do what is due; a sink that is down is looked after next time.

        `here` is the time by this worker's clock, `at` seconds on any steady clock.
        """
        try:
            there = await self._postgres.clock()
            await self._postgres.maintain(there.date())
        except SinkUnavailable as exc:
            log.warning("what has expired stays for now: %s", exc)
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
            await sink.ping()  # which connects, if nothing has yet
            step = expiry.look(await sink.days(), today, at)
            if step.drop:
                before = max(step.drop) + timedelta(days=1)
                await asyncio.wait_for(self._mark(sink.name, before), MARKING)
                await sink.purge(before)
                log.warning("%s: dropped %s, as announced", sink.name, _listed(step.drop))
            if step.announce:
                _announce(expiring, step.announce, len(step.due) - len(step.drop), today)
        except ClocksDisagree as exc:
            expiry.forget()
            log.warning("%s: what has expired stays for now: %s", sink.name, exc)
        except asyncio.TimeoutError:
            log.warning("%s: what has expired stays: the broker does not answer", sink.name)
        except SinkUnavailable as exc:
            log.warning("what has expired stays for now: %s", exc)


def _announce(expiring: _Expiring, next_ones: list[date], due: int, today: date) -> None:
    sink, expiry, place, setting = expiring
    log.warning(
        "%s: in %.0f minutes the decisions of %s are dropped from %s, the first of %d days that "
        "are over: %s=%d, and today is %s (UTC). To keep them, set another number, or none, and "
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
