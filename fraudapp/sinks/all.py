"""The sinks of one worker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from fraudapp.settings import Settings
from fraudapp.sinks.archive.archive import Archive, archive_at
from fraudapp.sinks.base import AccessDenied, DecisionSink, SinkUnavailable
from fraudapp.sinks.postgres.connection import tls
from fraudapp.sinks.postgres.sink import PostgresSink
from fraudapp.sinks.redis import RedisSink


class Sinks:
    """Redis, Postgres and the archive, not yet opened: each is opened by its sink_writer."""

    def __init__(self, settings: Settings) -> None:
        self.redis = RedisSink(
            settings.redis_url.get_secret_value(),
            prefix=settings.app_id,
            ttl=settings.redis_ttl,
            ca_file=settings.redis_ca_file,
        )
        self.postgres = PostgresSink(
            settings.postgres_url.get_secret_value(),
            pool_size=settings.postgres_pool,
            connecting=tls(settings),
        )
        self.archive: Archive = archive_at(settings)

    @property
    def each(self) -> Sequence[DecisionSink]:
        """The sinks a decision is kept in."""
        return self.redis, self.postgres, self.archive

    async def check_access(self) -> None:
        """Raise `AccessDenied` if one of them refuses us; one that is down may be so."""
        pings = (sink.ping() for sink in self.each)
        for failure in await asyncio.gather(*pings, return_exceptions=True):
            if isinstance(failure, AccessDenied) or (
                isinstance(failure, BaseException) and not isinstance(failure, SinkUnavailable)
            ):
                raise failure
