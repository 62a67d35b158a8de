"""Verifies the profiles that the decisions of a period were made with."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime, timedelta, timezone
from math import ceil, inf
from operator import attrgetter
from typing import Final

from fraudapp.backtests.period import MARGIN, Period
from fraudapp.settings import Settings
from fraudapp.verifying.decided import Decided
from fraudapp.verifying.due import DueInLog, in_order
from fraudapp.verifying.reading import Reading, reading
from models.profiles.differences import Verified
from models.profiles.neighbours import Logged
from models.profiles.remembering import Remembering
from models.profiles.verifying import Verifier
from models.profiles.windows import MAX_DAYS

_EARLIEST: Final = datetime.min.replace(tzinfo=timezone.utc)
_moment: Final = attrgetter("moment")


async def verify(
    settings: Settings, remembering: Remembering, period: Period, shown: int
) -> Verified:
    """Compare profiles with those that the log says, and return what differs.

    `remembering` is that of the schema of the settings, and `shown` how many examples are kept of
    what is explained and of what is not. Raises `KafkaError`, or `NeedsOperator` if there is no
    such topic.
    """
    topics = {settings.decisions_topic: _read_since(period)}
    if remembering.uses_labels:
        topics[settings.labelled_topic] = None
    async with reading(settings, topics) as topic:
        return await _Verifying(settings, remembering, period, shown).verify(topic)


def _read_since(period: Period) -> datetime | None:
    """Return the moment from which on decisions are in profiles of the period; None for all."""
    reach = timedelta(days=MAX_DAYS + 2) + MARGIN
    return period.since - reach if period.has_begin and period.since > _EARLIEST + reach else None


class _Verifying:
    """Brings decisions and labels to a verifier, in their order."""

    def __init__(
        self, settings: Settings, remembering: Remembering, period: Period, shown: int
    ) -> None:
        self._settings = settings
        self._since = period.since.timestamp() if period.has_begin else -inf
        self._until = period.until.timestamp() if period.has_end else inf
        version = settings.transaction_schema.profile_version
        self._verifier = Verifier(remembering, version, settings.profile_lag, shown)

    async def verify(self, topics: Reading) -> Verified:
        settings = self._settings
        decided = Decided(settings, topics.of(settings.decisions_topic))
        labels = DueInLog(in_order(settings, topics.of(settings.labelled_topic)))
        async with aclosing(decided.in_order()) as chunks, aclosing(labels):
            async for chunk in chunks:
                await self._take(_before(chunk, self._until), labels)
                if chunk[-1].moment >= self._until:
                    break
        found = self._verifier.result()
        found.repeated = decided.repeated
        return found

    async def _take(self, chunk: Sequence[Logged], labels: DueInLog) -> None:
        """Take in decisions, and before each the labels that it sees."""
        while chunk:
            second = int(chunk[0].moment)
            while (due := await labels.next_second()) <= second:
                moved = await labels.by(due)
                if moved.decisions:
                    self._verifier.learn(*moved, due)
            together = chunk
            if (next_second := await labels.next_second()) < inf:
                together = _before(chunk, ceil(next_second))
            earlier = _before(together, self._since)
            self._verifier.fold(earlier)
            self._verifier.check(together[len(earlier) :])
            chunk = chunk[len(together) :]


def _before(chunk: Sequence[Logged], moment: float) -> Sequence[Logged]:
    return chunk[: bisect_left(chunk, moment, key=_moment)]
