"""The servers of the tests keep the promises that the other tests rely on."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from botocore.exceptions import ClientError

from fraudapp.local.probes import kafka_answers
from fraudapp.local.processes import ProcessError, port_in_use
from fraudapp.local.redis import Redis
from fraudapp.local.server import Server
from tests.servers.choice import Maker, make, real
from tests.servers.kafka import Kafka
from tests.servers.postgres import SystemPostgres
from tests.servers.redis import SystemRedis
from tests.servers.s3proxy import S3Proxy

Keep = Callable[[Server], Awaitable[None]]
Kept = Callable[[Server], Awaitable[bool]]


async def _keep_in_kafka(server: Server) -> None:
    bootstrap = f"127.0.0.1:{server.port}"
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic("kept", 4, 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        await producer.send_and_wait("kept", b"value", partition=3)


async def _kept_in_kafka(server: Server) -> bool:
    consumer = AIOKafkaConsumer(bootstrap_servers=f"127.0.0.1:{server.port}")
    async with consumer:
        consumer.assign([TopicPartition("kept", 3)])
        await consumer.seek_to_beginning()
        message = await asyncio.wait_for(consumer.getone(), 20)
    return bool(message.value == b"value")


async def _keep_in_postgres(server: Server) -> None:
    await _query(server, "CREATE TABLE kept AS SELECT 'value' AS it")


async def _kept_in_postgres(server: Server) -> bool:
    return await _query(server, "SELECT it FROM kept") == "value"


async def _query(server: Server, statement: str) -> object:
    connection = await asyncpg.connect(server.url.replace("+asyncpg", ""), timeout=10)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def _keep_in_redis(server: Server) -> None:
    async with redis.asyncio.from_url(server.url) as client:
        await client.set("kept", "value")


async def _kept_in_redis(server: Server) -> bool:
    async with redis.asyncio.from_url(server.url) as client:
        return bool(await client.get("kept") == b"value")


async def _keep_in_s3(server: Server) -> None:
    assert isinstance(server, S3Proxy)
    server.make_bucket("kept")
    await _s3(server, lambda client: client.put_object(Bucket="kept", Key="a/b", Body=b"value"))


async def _kept_in_s3(server: Server) -> bool:
    async def read(client: object) -> bool:
        answer = await client.get_object(Bucket="kept", Key="a/b")  # type: ignore[attr-defined]
        return bool(await answer["Body"].read() == b"value")

    return bool(await _s3(server, read))


async def _s3(server: Server, use: Callable[..., Awaitable[object]], secret: str = "") -> object:
    client = get_session().create_client(
        "s3",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=S3Proxy.key_id,
        aws_secret_access_key=secret or S3Proxy.secret,
        config=AioConfig(s3={"addressing_style": "path"}),
    )
    async with client as connected:
        return await use(connected)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="fraudapp-tests-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


# Those that keep things: no stand-in does.
DURABLE: dict[str, Maker] = {
    "kafka": Kafka,
    "postgres": SystemPostgres,
    "redis": lambda folder: SystemRedis(folder, appendonly=True),
    "s3": S3Proxy,
}


@pytest.mark.parametrize(
    ("kind", "keep", "kept"),
    [
        ("kafka", _keep_in_kafka, _kept_in_kafka),
        ("postgres", _keep_in_postgres, _kept_in_postgres),
        ("redis", _keep_in_redis, _kept_in_redis),
        ("s3", _keep_in_s3, _kept_in_s3),
    ],
)
async def test_a_killed_server_comes_back_on_its_port_with_what_it_was_given(
    folder: Path, kind: str, keep: Keep, kept: Kept
) -> None:
    server = real(DURABLE[kind], folder / kind)
    server.start()
    try:
        url = server.url
        await keep(server)
        assert await kept(server)
        server.kill()
        assert not server.running
        assert not server.answers()
        assert not port_in_use(server.port)
        await asyncio.to_thread(server.start)  # as a test does whose own loop must go on
        assert server.url == url
        assert await kept(server)
        server.restart()
        assert await kept(server)
    finally:
        server.stop()
    assert not server.running
    assert not port_in_use(server.port)


@pytest.mark.parametrize("kind", ["kafka", "postgres", "redis", "s3"])
def test_a_paused_server_takes_connections_and_answers_only_when_resumed(
    servers: Callable[[str], Server], kind: str
) -> None:
    server = servers(kind)
    server.pause()
    assert server.running
    assert port_in_use(server.port)
    assert not server.answers()
    server.resume()
    server.child.wait_until(server.answers, 10)


@pytest.mark.parametrize("harm", ["kill", "pause", "stop"])
def test_a_server_that_a_test_leaves_broken_is_revived(
    servers: Callable[[str], Server], harm: str
) -> None:
    server = servers("redis")
    getattr(server, harm)()
    server.revive()
    server.child.wait_until(server.answers, 10)


def test_a_server_does_not_take_another_one_for_itself(folder: Path) -> None:
    first = make("redis", folder / "first")
    first.start()
    try:
        with pytest.raises(ProcessError, match=f"port {first.port} is in use"):
            Redis(folder / "second", first.port).start()
    finally:
        first.stop()


async def test_kafka_takes_messages_up_to_the_limit_given(folder: Path) -> None:
    limit = {"message.max.bytes": "3000000"}
    kafka = real(lambda folder: Kafka(folder, properties=limit), folder / "large")
    kafka.start()
    try:
        producer = AIOKafkaProducer(
            bootstrap_servers=f"127.0.0.1:{kafka.port}", max_request_size=4_000_000
        )
        async with producer:
            await producer.send_and_wait("large", b"x" * 2_500_000)
            partitions = await producer.partitions_for("large")
        assert partitions == {0, 1, 2, 3}
    finally:
        kafka.stop()


async def test_s3_refuses_a_wrong_secret(s3: S3Proxy, s3_bucket: str) -> None:
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        await _s3(s3, lambda client: client.list_objects_v2(Bucket=s3_bucket), secret="wrong")


async def test_databases_are_fresh_for_each_test(postgres_url: str, redis_url: str) -> None:
    connection = await asyncpg.connect(postgres_url.replace("+asyncpg", ""))
    tables = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    await connection.close()
    async with redis.asyncio.from_url(redis_url) as client:
        assert (tables, await client.dbsize()) == (0, 0)


def test_nothing_answers_on_a_port_nobody_listens_on(unused_tcp_port: int) -> None:
    assert not kafka_answers(unused_tcp_port)
