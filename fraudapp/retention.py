"""Keeps stores from growing for ever: makes room for the coming days, drops what has expired."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from typing import Final

from mode import Service

from fraudapp.settings import Settings
from fraudapp.stores.base import StoreUnavailable
from fraudapp.stores.stores import Stores

log = logging.getLogger(__name__)

INTERVAL: Final = 600.0
"""Seconds between two looks. Every worker does it: it is little, and doing it twice is harmless."""


class Retention(Service):
    """Postgres' partitions, and the archive's days. Redis forgets by itself."""

    def __init__(self, settings: Settings, stores: Stores) -> None:
        self._settings = settings
        self._stores = stores
        super().__init__()

    @Service.timer(INTERVAL)
    async def _now_and_then(self) -> None:
        await self.look_after(datetime.now(timezone.utc))

    async def look_after(self, now: datetime) -> None:
        """Do what is due; a store that is down is looked after next time."""
        try:
            await self._stores.postgres.maintain(now)
            if self._settings.archive_days is not None:
                expired = now.date() - timedelta(days=self._settings.archive_days)
                await self._stores.archive.ping()  # which connects, if nothing has yet
                await self._stores.archive.purge(expired)
        except StoreUnavailable as exc:
            log.warning("what has expired stays for now: %s", exc)
