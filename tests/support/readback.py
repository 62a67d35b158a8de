"""Reads topics and sinks by other means than the application's own."""

from __future__ import annotations

import asyncio
import functools
import gzip
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import redis as redis_client
from aiobotocore.session import AioSession, get_session
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from fraudapp.local.processes import POLL_INTERVAL

Environment = Mapping[str, str]


@functools.cache
def _session() -> AioSession:
    return get_session()  # which reads a description of S3, a megabyte of JSON


async def eventually(check: Callable[[], Any], timeout: float = 60.0) -> Any:
    """Return the first true value of `check`, or fail with the last one."""
    deadline = asyncio.get_running_loop().time() + timeout
    while not (value := await asyncio.to_thread(check)):
        assert asyncio.get_running_loop().time() < deadline, f"still {value!r} after {timeout} s"
        await asyncio.sleep(POLL_INTERVAL)
    return value


async def everywhere(environment: Environment, count: int) -> None:
    """Return when every sink has so many decisions; they follow the log at their own pace."""

    def stored() -> bool:
        # The quickest to ask comes first; what there is is read once there is enough of it.
        return _keys(environment) >= count and all(map(complete, (redis, postgres, archive)))

    def complete(number: Callable[[], int]) -> bool:
        found = number()
        assert found <= count, f"{found} of {count}"
        return found == count

    def redis() -> int:
        return len(in_redis(environment))

    def postgres() -> int:
        return len(asyncio.run(in_postgres(environment)))

    def archive() -> int:
        return len({each["transaction_id"] for each in asyncio.run(in_s3(environment))})

    await eventually(stored)


async def in_postgres(environment: Environment) -> dict[str, dict[str, Any]]:
    """Rows of the history, by id."""
    url = environment["FRAUD_POSTGRES_URL"].replace("+asyncpg", "")
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT * FROM decisions")
    finally:
        await connection.close()
    found = {row["transaction_id"]: dict(row) for row in rows}
    assert len(found) == len(rows)  # one row an id
    return found


def _keys(environment: Environment) -> int:
    """How many decisions Redis has."""
    with redis_client.Redis.from_url(environment["FRAUD_REDIS_URL"]) as client:
        return len(_keys_of(client, environment))


def _keys_of(client: redis_client.Redis, environment: Environment) -> list[bytes]:
    return list(client.scan_iter(f"{environment['FRAUD_APP_ID']}:decision:*", count=1_000))


def in_redis(environment: Environment) -> dict[str, dict[str, Any]]:
    """Decisions in Redis, by id."""
    with redis_client.Redis.from_url(environment["FRAUD_REDIS_URL"]) as client:
        keys = _keys_of(client, environment)
        values = [json.loads(value) for value in client.mget(keys)] if keys else []
    return {value["transaction_id"]: value for value in values}


async def in_s3(environment: Environment) -> list[dict[str, Any]]:
    """Every line of every object of the archive."""
    bucket = urlsplit(environment["FRAUD_ARCHIVE_URL"]).netloc
    lines: list[dict[str, Any]] = []
    async with _session().create_client(
        "s3",
        endpoint_url=environment["FRAUD_S3_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id=environment["FRAUD_S3_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["FRAUD_S3_SECRET_ACCESS_KEY"],
    ) as client:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = [item["Key"] async for page in pages for item in page.get("Contents", [])]
        # S3Proxy lists what it has not received all of, under a longer name.
        for key in filter(lambda key: key.endswith(".jsonl.gz"), keys):
            answer = await client.get_object(Bucket=bucket, Key=key)
            async with answer["Body"] as body:
                lines += map(json.loads, gzip.decompress(await body.read()).splitlines())
    return lines


async def in_topic(environment: Environment, name: str) -> list[ConsumerRecord]:
    """Every record of one of the application's topics; `name` is that of its setting."""
    topic = environment[f"FRAUD_{name.upper()}_TOPIC"]
    async with AIOKafkaConsumer(
        bootstrap_servers=environment["FRAUD_BROKER_URL"].removeprefix("kafka://"),
        max_partition_fetch_bytes=8_000_000,
    ) as consumer:
        numbers = await consumer._client._wait_on_metadata(topic)
        partitions = [TopicPartition(topic, number) for number in numbers]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        records: list[ConsumerRecord] = []
        while any([await consumer.position(each) < ends[each] for each in partitions]):
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                records += batch
    return records


def outcomes(decisions: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """How many decisions there are of each outcome, as `/stats` shows it."""
    counts = Counter(each["decision"] for each in decisions.values())
    shown = {outcome: counts[outcome] for outcome in ("APPROVE", "FLAG", "BLOCK")}
    return {"total": len(decisions), **shown}


async def committed(environment: Environment) -> int:
    """How many transactions the workers have committed, of the four partitions together."""
    async with AIOKafkaConsumer(
        bootstrap_servers=environment["FRAUD_BROKER_URL"].removeprefix("kafka://"),
        group_id=environment["FRAUD_APP_ID"],
        enable_auto_commit=False,
    ) as consumer:
        topic = environment["FRAUD_TRANSACTIONS_TOPIC"]
        partitions = [TopicPartition(topic, number) for number in range(4)]
        found = await consumer._coordinator.fetch_committed_offsets(partitions)
    return sum(each.offset for each in found.values())


async def acknowledged(environment: Environment, count: int) -> None:
    """Return when so many are committed; they are counted for all to see a moment before."""
    await eventually(lambda: asyncio.run(committed(environment)) == count)
