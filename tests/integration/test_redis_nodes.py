"""Redis with several nodes: a cluster, and a primary with a replica behind one address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from redis.exceptions import MasterDownError, OutOfMemoryError, ReadOnlyError

from fraudapp.decisions.batch import Batch
from fraudapp.sinks.base import AccessDenied, SinkUnavailable
from fraudapp.sinks.redis import RedisSink
from tests.servers.choice import real
from tests.servers.redis_cluster import SLOTS, Node, RedisCluster
from tests.servers.relay import Relay
from tests.support.decisions import decision

T = TypeVar("T")

IDS = [f"t{number}" for number in range(300)]
BATCH = Batch([decision(each, offset=number) for number, each in enumerate(IDS)])


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RedisCluster]:
    made = real(RedisCluster, tmp_path / "redis")
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
async def sink(cluster: RedisCluster) -> AsyncIterator[RedisSink]:
    sink = RedisSink(cluster.url, prefix="test", ttl=60)
    await sink.open()
    yield sink
    await sink.close()


async def until_it_does(ask: Callable[[], Awaitable[T]]) -> tuple[T, int]:
    """Ask until the sink is there, and return the answer and how often that took."""
    for attempt in range(1, 1_000):
        try:
            return await ask(), attempt
        except SinkUnavailable:
            await asyncio.sleep(0.05)
    raise AssertionError("it never came back")


async def found(sink: RedisSink, ids: list[str]) -> set[str]:
    known = set()
    for start in range(0, len(ids), 50):
        asked = (until_it_does(partial(sink.get, each)) for each in ids[start : start + 50])
        known |= {each.transaction_id for each, _ in await asyncio.gather(*asked) if each}
    return known


async def until_saved(sink: RedisSink, batch: Batch) -> int:
    """Save it as a sink_writer does, and return how often it took."""
    return (await until_it_does(partial(sink.save, batch)))[1]


async def test_a_cluster_is_a_sink_like_any_other(sink: RedisSink) -> None:
    await sink.save(BATCH)
    assert await found(sink, IDS) == set(IDS)
    await sink.save(Batch([decision("t1", score=0.75)]))
    kept = await sink.get("t1")
    assert kept == BATCH.decisions[1]
    await sink.accept(["a", "b"])
    assert [await sink.is_accepted(each) for each in "abc"] == [True, True, False]
    day = datetime(2026, 3, 4, tzinfo=timezone.utc)
    await sink.save(
        Batch([decision(f"p{n}", decided_at=day + n % 2 * timedelta(days=1)) for n in range(3_000)])
    )
    before = (day + timedelta(days=1)).date()
    assert await sink.purge(before, dry_run=True) == 1_500 + len(IDS)  # which are older
    assert await sink.purge(before) == 1_500 + len(IDS)
    assert await sink.purge(before) == 0
    assert await found(sink, ["p0", "p1", "t2"]) == {"p1"}


async def test_slots_may_move_while_decisions_are_saved(
    sink: RedisSink, cluster: RedisCluster
) -> None:
    await sink.save(BATCH)
    ids = list(cluster.primaries())
    moved = asyncio.Event()
    saved: list[str] = []

    async def save() -> None:
        turn = 0
        while not moved.is_set():
            batch = Batch([decision(f"{turn}-{n}", offset=n) for n in range(300)])
            await sink.save(batch)  # nothing of it is seen outside
            saved.extend(each.transaction_id for each in batch.decisions)
            turn += 1

    async def move() -> None:
        for number, slot in enumerate(range(0, SLOTS, SLOTS // 30)):
            await asyncio.to_thread(cluster.move, slot, ids[number % 3])
        moved.set()

    await asyncio.gather(save(), move())
    assert await found(sink, IDS + saved) == {*IDS, *saved}


@pytest.mark.parametrize("way", ["kill", "pause"])
async def test_a_replica_takes_over_from_a_node_that_is_away(
    sink: RedisSink, cluster: RedisCluster, way: str
) -> None:
    await sink.save(BATCH)
    gone = cluster.nodes[0]  # that of the URL
    getattr(gone, way)()
    try:
        later = Batch([decision(f"u{number}", offset=number) for number in range(300)])
        assert await until_saved(sink, later) > 1
        assert await found(sink, [f"u{number}" for number in range(300)]) == {
            each.transaction_id for each in later.decisions
        }
        assert await sink.get("t1")
    finally:
        gone.revive()
    await until_saved(sink, BATCH)
    assert await found(sink, IDS) == set(IDS)


async def test_a_cluster_of_which_too_little_is_left_is_waited_for(
    sink: RedisSink, cluster: RedisCluster
) -> None:
    for node in cluster.nodes[1:]:
        node.kill()
    for _ in range(3):
        with pytest.raises(SinkUnavailable) as failed:
            await asyncio.wait_for(sink.save(BATCH), 30)
        assert not isinstance(failed.value, AccessDenied)
    for node in cluster.nodes[1:]:
        node.start()
    await until_saved(sink, BATCH)
    assert await found(sink, IDS) == set(IDS)


async def test_another_database_of_a_cluster_is_refused(cluster: RedisCluster) -> None:
    sink = RedisSink(cluster.url.removesuffix("/0") + "/3", prefix="test", ttl=60)
    with pytest.raises(AccessDenied, match="FRAUD_REDIS_URL must end with"):
        await sink.open()
    await sink.close()


async def test_one_that_became_a_cluster_is_asked_again(
    cluster: RedisCluster, redis_url: str
) -> None:
    relay = Relay(int(redis_url.rpartition(":")[2].split("/")[0]))
    await relay.start()
    sink = RedisSink(f"redis://127.0.0.1:{relay.port}/0", prefix="test", ttl=60)
    await sink.save(BATCH)
    relay.target = cluster.nodes[0].port
    await relay.cut()
    await until_saved(sink, BATCH)
    assert await found(sink, IDS) == set(IDS)
    await sink.close()
    await relay.stop()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Node, Node]]:
    """A primary and its replica."""
    first = real(Node, tmp_path / "first")
    first.start()
    second = Node(tmp_path / "second", replicaof=f"127.0.0.1 {first.port}")
    second.start()
    RedisCluster.until(lambda: "master_link_status:up" in str(second.ask("INFO", "replication")))
    yield first, second
    second.stop()
    first.stop()


async def test_a_failover_behind_one_address_is_followed_although_connections_last(
    pair: tuple[Node, Node],
) -> None:
    first, second = pair
    relay = Relay(first.port)
    await relay.start()
    sink = RedisSink(f"redis://127.0.0.1:{relay.port}/0", prefix="test", ttl=60)
    await asyncio.gather(*(sink.save(BATCH) for _ in range(4)))  # some connections
    second.ask("REPLICAOF", "NO", "ONE")
    first.ask("REPLICAOF", "127.0.0.1", str(second.port))
    with pytest.raises(SinkUnavailable) as failed:  # the address still leads to the old one
        await sink.save(BATCH)
    assert isinstance(failed.value.__cause__, ReadOnlyError)
    relay.target = second.port
    later = Batch([decision(f"u{number}", offset=number) for number in range(300)])
    await asyncio.gather(*(sink.save(later) for _ in range(4)))
    assert await found(sink, [each.transaction_id for each in later.decisions])
    await sink.accept(["a"])
    assert await sink.is_accepted("a")
    await sink.close()
    await relay.stop()


async def test_a_server_that_is_full_or_has_lost_its_primary_is_down_and_nothing_is_refused(
    pair: tuple[Node, Node],
) -> None:
    first, second = pair
    sink = RedisSink(first.url, prefix="test", ttl=60)
    first.ask("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(SinkUnavailable) as failed:
        await sink.save(BATCH)
    assert isinstance(failed.value.__cause__, OutOfMemoryError)
    assert not isinstance(failed.value, AccessDenied)
    first.ask("CONFIG", "SET", "maxmemory", "0")
    await sink.save(BATCH)
    await sink.close()
    sink = RedisSink(second.url, prefix="test", ttl=60)
    second.ask("CONFIG", "SET", "replica-serve-stale-data", "no")
    first.kill()
    RedisCluster.until(lambda: "master_link_status:down" in str(second.ask("INFO", "replication")))
    for _ in range(2):
        with pytest.raises(SinkUnavailable) as failed:
            await sink.get("t1")
    assert isinstance(failed.value.__cause__, MasterDownError)
    await sink.close()
