"""The client of a Redis that is a single server or a cluster: the server is asked which.

One setting, the URL, serves for both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    ClusterCrossSlotError,
    MasterDownError,
    MovedError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    SlotNotCoveredError,
)

Client = Redis | RedisCluster

FAILURES: Final = (
    RedisError,
    RedisClusterException,
    OSError,
    asyncio.TimeoutError,
    RuntimeError,  # from uvloop, for a connection that was closed meanwhile
)
# Errors for which a connection is closed and made again: another server may be the primary behind
# its address by now.
_DEMOTED: Final[list[type[Exception]]] = [ReadOnlyError, MasterDownError]
_MAX_CONNECTIONS: Final = 2**31
"""Connections to one node of a cluster, at most: the limit that a single server has."""


async def connect(url: str, timeout: float, tls: dict[str, Any]) -> Client:
    """Return a client of the server or cluster at the URL; raises one of `FAILURES`.

    `timeout` is in seconds, for each answer; `tls` are further arguments of connections.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        # One retry: a connection that the server has closed while idle fails once.
        "retry": Retry(NoBackoff(), 1),
        **tls,
    }
    server = Redis.from_url(url, retry_on_error=_DEMOTED, **options)
    try:
        clustered = await _is_clustered(server)
    except BaseException:
        await server.aclose()
        raise
    if not clustered:
        return server
    await server.aclose()
    # Slots that have a node can be read and written while others have none.
    cluster: RedisCluster = RedisCluster.from_url(
        url, require_full_coverage=False, max_connections=_MAX_CONNECTIONS, **options
    )
    return cluster


async def _is_clustered(server: Redis) -> bool:
    await server.ping()
    try:
        info = await server.info("cluster")
    except ResponseError:  # not allowed or not known: an error of a later command tells, `outdated`
        return False
    return bool(info.get("cluster_enabled"))


def outdated(exc: BaseException) -> bool:
    """Whether a failure shows that the client is of the wrong kind, server or cluster."""
    if isinstance(exc, SlotNotCoveredError):
        return False  # some nodes are down: it is still a cluster
    return isinstance(exc, RedisClusterException | MovedError | ClusterCrossSlotError)


async def each(client: Client, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Execute commands of one key each, in as many round trips as there are nodes.

    Raises the first failure in the words of the server: the message of the client library would
    repeat the values that were sent.
    """
    async with client.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        answers = await pipe.execute(raise_on_error=False)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers
