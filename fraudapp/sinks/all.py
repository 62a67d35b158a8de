"""The sinks of one worker, made from its settings: the one place that names all of them."""

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
    """Redis, Postgres and the archive, not yet opened: each is opened by its sink writer."""

    def __init__(self, settings: Settings) -> None:
        self.redis = RedisSink(
            settings.redis_url.get_secret_value(),
            prefix=settings.app_id,
            ttl=settings.redis_ttl,
            ca_file=settings.redis_ca_file,
            schema=settings.transaction_schema,
        )
        self.postgres = PostgresSink(
            settings.postgres_url.get_secret_value(),
            pool_size=settings.postgres_pool,
            connecting=tls(settings),
            schema=settings.transaction_schema,
        )
        self.archive: Archive = archive_at(settings)

    @property
    def each(self) -> Sequence[DecisionSink]:
        """All sinks; every decision is saved into each of them."""
        return self.redis, self.postgres, self.archive

    async def check_access(self) -> None:
        """Raise `AccessDenied` if a sink refuses this worker; called before a worker starts.

        A sink that is down raises nothing: its writer waits for it.
        """
        pings = (sink.ping() for sink in self.each)
        for failure in await asyncio.gather(*pings, return_exceptions=True):
            if isinstance(failure, AccessDenied) or (
                isinstance(failure, BaseException) and not isinstance(failure, SinkUnavailable)
            ):
                raise failure
