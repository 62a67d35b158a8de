"""The client of a Redis that is one server, or a cluster of them: which one it is, it is asked."""

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
    RuntimeError,  # of uvloop, for a connection that was closed meanwhile
)
# What a connection is given up for, and made again: behind its address another server may be the
# primary by now.
_DEMOTED: Final[list[type[Exception]]] = [ReadOnlyError, MasterDownError]
_ANY: Final = 2**31
"""Connections to a node, at most: as many as to a single server."""


async def connect(url: str, timeout: float, tls: dict[str, Any]) -> Client:
    """Return a client of what is at the URL, one server or a cluster; raises one of `FAILURES`.

    `timeout` is in seconds, of each answer; `tls` are further arguments of connections.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        # One retry: a connection that the server has closed while idle fails once.
        "retry": Retry(NoBackoff(), 1),
        **tls,
    }
    one = Redis.from_url(url, retry_on_error=_DEMOTED, **options)
    try:
        clustered = await _is_clustered(one)
    except BaseException:
        await one.aclose()
        raise
    if not clustered:
        return one
    await one.aclose()
    # What is in the slots that are served can be read, whatever the others are doing.
    cluster: RedisCluster = RedisCluster.from_url(
        url, require_full_coverage=False, max_connections=_ANY, **options
    )
    return cluster


async def _is_clustered(one: Redis) -> bool:
    await one.ping()
    try:
        told = await one.info("cluster")
    except ResponseError:  # not allowed, or not known: then what it does not take will tell
        return False
    return bool(told.get("cluster_enabled"))


def outdated(exc: BaseException) -> bool:
    """Whether it is not, or no longer, what it was when the client was made."""
    if isinstance(exc, SlotNotCoveredError):
        return False  # some nodes are down, which the others know best
    return isinstance(exc, RedisClusterException | MovedError | ClusterCrossSlotError)


async def each(client: Client, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Execute commands of one key each, in as many round trips as there are nodes.

    Raises the first failure, as the server told it: the client's own sentence holds what was sent.
    """
    async with client.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        answers = await pipe.execute(raise_on_error=False)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers
