"""A client is of the kind that the server says it is, and a failure is told in its words."""

from __future__ import annotations

from typing import Any, cast

import pytest
from redis.exceptions import (
    ClusterCrossSlotError,
    ClusterError,
    MovedError,
    RedisClusterException,
    ResponseError,
    SlotNotCoveredError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from fraudapp.sinks import redis_nodes
from fraudapp.sinks.redis_nodes import FAILURES, Client, connect, each, outdated

URL = "redis://redis.example/0"


class Server:
    """A client of one server, which says whether it is of a cluster."""

    def __init__(self, info: Any, ping: Exception | None = None) -> None:
        self.closed = False
        self._info = info
        self._ping = ping

    async def ping(self) -> None:
        if self._ping:
            raise self._ping

    async def info(self, section: str) -> Any:
        assert section == "cluster"
        if isinstance(self._info, Exception):
            raise self._info
        return self._info

    async def aclose(self) -> None:
        self.closed = True


class Clients:
    """Makes the clients of one kind, and records with which arguments."""

    def __init__(self, client: object) -> None:
        self.made: list[dict[str, Any]] = []
        self._client = client

    def from_url(self, url: str, **options: Any) -> Any:
        assert url == URL
        self.made.append(options)
        return self._client


def stand_in(monkeypatch: pytest.MonkeyPatch, server: Server) -> tuple[Clients, Clients]:
    """Let `connect` make these in place of clients of a server and of a cluster."""
    servers, clusters = Clients(server), Clients("the cluster")
    monkeypatch.setattr(redis_nodes, "Redis", servers)
    monkeypatch.setattr(redis_nodes, "RedisCluster", clusters)
    return servers, clusters


@pytest.mark.parametrize(
    "info", [{"cluster_enabled": 0}, {}, ResponseError("NOPERM this user has no permissions")]
)
async def test_a_single_server_is_used_as_it_is(info: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(info)
    _, clusters = stand_in(monkeypatch, server)
    client: object = await connect(URL, 2.0, {})
    assert client is server
    assert (server.closed, clusters.made) == (False, [])


async def test_a_cluster_gets_a_client_of_its_own_with_the_same_options(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server({"cluster_enabled": 1})
    servers, clusters = stand_in(monkeypatch, server)
    client: object = await connect(URL, 2.0, {"ssl_ca_certs": "ca.pem"})
    assert (client, server.closed) == ("the cluster", True)
    for (options,) in (servers.made, clusters.made):
        assert options["socket_timeout"] == options["socket_connect_timeout"] == 2.0
        assert options["ssl_ca_certs"] == "ca.pem"
    assert clusters.made[0]["require_full_coverage"] is False


@pytest.mark.parametrize(
    ("info", "ping"),
    [({}, RedisConnectionError("refused")), (TimeoutError("no answer"), None)],
)
async def test_a_server_that_does_not_say_leaves_no_connection(
    info: Any, ping: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(info, ping)
    _, clusters = stand_in(monkeypatch, server)
    with pytest.raises(FAILURES) as raised:
        await connect(URL, 2.0, {})
    assert raised.value is (ping or info)
    assert (server.closed, clusters.made) == (True, [])


@pytest.mark.parametrize(
    ("exc", "wrong_kind"),
    [
        (MovedError("1 10.0.0.1:6379"), True),
        (ClusterCrossSlotError("keys in several slots"), True),
        (RedisClusterException("cluster mode is not enabled"), True),
        (SlotNotCoveredError("slot 1 is not covered"), False),
        (ClusterError("the cluster is down"), False),
        (ResponseError("wrong number of arguments"), False),
        (OSError("reset"), False),
    ],
)
def test_a_client_is_outdated_if_the_server_has_become_of_the_other_kind(
    exc: Exception, wrong_kind: bool
) -> None:
    assert outdated(exc) == wrong_kind


class Pipeline:
    """Answers the commands that it was given; an exception is an answer as well."""

    def __init__(self, answers: list[Any]) -> None:
        self.commands: list[tuple[Any, ...]] = []
        self.left = False
        self._answers = answers

    async def __aenter__(self) -> Pipeline:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.left = True

    def execute_command(self, *command: Any) -> None:
        self.commands.append(command)

    async def execute(self, raise_on_error: bool) -> list[Any]:
        assert not raise_on_error
        return self._answers

    def pipeline(self, transaction: bool) -> Pipeline:
        assert not transaction  # commands of several nodes are no transaction
        return self


async def test_commands_are_answered_in_their_order() -> None:
    pipeline = Pipeline([b"1", None])
    commands = [("GET", b"a"), ("GET", b"b")]
    assert await each(cast(Client, pipeline), iter(commands)) == [b"1", None]
    assert (pipeline.commands, pipeline.left) == (commands, True)


async def test_the_first_failure_is_raised_as_the_server_has_told_it() -> None:
    first, second = ResponseError("OOM command not allowed"), ResponseError("another")
    pipeline = Pipeline([b"OK", first, second])
    commands = [("SET", key, b"hunter2") for key in (b"a", b"b", b"c")]
    with pytest.raises(ResponseError) as raised:
        await each(cast(Client, pipeline), commands)
    assert raised.value is first
    assert "hunter2" not in str(raised.value)
