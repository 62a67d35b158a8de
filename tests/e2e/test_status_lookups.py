"""Every worker answers for the whole cluster, and says 503, not 404, if it cannot tell."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import asyncpg
import pytest
import redis as redis_client
from aiokafka import AIOKafkaProducer, TopicPartition

from fraudapp.kafka.clients import started_consumer
from fraudapp.local.postgres import Postgres
from fraudapp.local.redis import Redis
from fraudapp.settings import load
from tests.support import readback
from tests.support.messages import encoded, send_transactions, transaction
from tests.support.worker import Worker

WAIT_SECONDS = 20  # seconds that a caller is ready to wait
EARLY_SECONDS = 15.0  # seconds; whoever was answered sooner has not waited to the end


@pytest.fixture
async def two(new_worker: Callable[..., Worker]) -> list[Worker]:
    return [await asyncio.to_thread(new_worker) for _ in range(2)]


def statuses(worker: Worker, ids: Iterable[str], wait: float = 0) -> Counter[int]:
    """How often the worker gave each answer."""
    with ThreadPoolExecutor(8) as pool:
        paths = [f"/transaction/{each}/status?wait_seconds={wait}" for each in ids]
        return Counter(status for status, _ in pool.map(worker.get, paths))


def sent(count: int, name: str = "t") -> dict[str, dict[str, object]]:
    return {f"{name}{number}": transaction(f"{name}{number}") for number in range(count)}


async def test_whoever_begins_to_wait_about_when_it_is_decided_is_answered_soon(
    two: list[Worker],
) -> None:
    def ask(worker: Worker, id_: str) -> tuple[int, float]:
        began = time.monotonic()
        status, _ = worker.get(f"/transaction/{id_}/status?wait_seconds={WAIT_SECONDS}")
        return status, time.monotonic() - began

    environment = two[0].environment
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(64) as pool:
        async with AIOKafkaProducer(
            bootstrap_servers=environment["FRAUD_BROKER_URL"].removeprefix("kafka://")
        ) as producer:
            answers = []
            for number in range(400):
                id_ = f"t{number}"
                message = encoded(transaction(id_))
                await producer.send_and_wait(
                    environment["FRAUD_TRANSACTIONS_TOPIC"], message, key=id_.encode()
                )
                await asyncio.sleep(random.uniform(0, 0.04))
                answers += [loop.run_in_executor(pool, ask, worker, id_) for worker in two]
            outcomes = await asyncio.gather(*answers)
    assert Counter(status for status, _ in outcomes) == {200: 800}
    assert [seconds for _, seconds in outcomes if seconds > EARLY_SECONDS] == []


@pytest.mark.parametrize("trouble", ["kill", "pause"])
async def test_a_decision_made_while_sinks_are_down_is_known_to_all_workers(
    two: list[Worker], redis_server: Redis, postgres: Postgres, trouble: str
) -> None:
    for server in (redis_server, postgres):
        getattr(server, trouble)()
    rows = sent(500)
    await send_transactions(two[0].environment, list(rows.values()))
    for worker in two:
        await readback.eventually(
            lambda each=worker: each.stats()["decisions"]["total"] == len(rows)  # type: ignore[misc]
        )
    for worker in two:
        assert await asyncio.to_thread(statuses, worker, rows) == {200: len(rows)}
        began = time.monotonic()
        waited = await asyncio.to_thread(statuses, worker, list(rows)[:16], wait=WAIT_SECONDS)
        assert waited == {200: 16}
        assert time.monotonic() - began < EARLY_SECONDS
        # Nobody sent it; but what has come into the sinks before, nobody can tell.
        assert 404 not in await asyncio.to_thread(statuses, worker, ["never"])
    for server in (redis_server, postgres):
        await asyncio.to_thread(server.revive)
    for worker in two:
        assert await asyncio.to_thread(statuses, worker, rows) == {200: len(rows)}
        await readback.eventually(lambda each=worker: statuses(each, ["never"]) == {404: 1})  # type: ignore[misc]


async def test_sinks_that_are_frozen_hold_up_no_caller(
    worker: Worker, redis_server: Redis, postgres: Postgres
) -> None:
    for server in (redis_server, postgres):
        server.pause()
    began = time.monotonic()
    for number in range(20):
        body = encoded(transaction(f"t{number}"))
        assert (await asyncio.to_thread(worker.post, "/transactions", body))[0] == 202
    assert time.monotonic() - began < 20  # 4 s each, when each of them waited for Redis
    answers = await asyncio.gather(
        *(
            asyncio.to_thread(worker.get, f"/transaction/never{number}/status?wait_seconds=1")
            for number in range(40)
        )
    )
    assert {status for status, _ in answers} == {503}
    assert time.monotonic() - began < 40  # they queued up for a minute
    assert "noting pending transactions in redis" in worker.log.read_text()


async def test_a_worker_that_came_later_says_what_it_cannot_know(
    new_worker: Callable[..., Worker], redis_server: Redis, postgres: Postgres
) -> None:
    one = await asyncio.to_thread(new_worker)
    for server in (redis_server, postgres):
        server.kill()
    rows = sent(16_000)
    await send_transactions(one.environment, list(rows.values()))
    await readback.eventually(lambda: one.stats()["decisions"]["total"] == len(rows))
    other = await asyncio.to_thread(new_worker)
    some = list(rows)[::80]
    for worker in (one, other):
        answers = await asyncio.to_thread(statuses, worker, some)
        assert set(answers) <= {200, 503}
        assert answers[200] > 0
    for id_ in some[:100]:
        status, problem = other.get(f"/transaction/{id_}/status")
        if status == 503:
            assert problem["detail"]
            _, _, headers = other.text(f"/transaction/{id_}/status")
            assert int(headers["Retry-After"]) > 0
            break
    else:
        pytest.fail("it knows all of what was decided before it came")
    for server in (redis_server, postgres):
        await asyncio.to_thread(server.restart)
    answers = Counter()
    while answers != {200: len(some)}:  # in the end it knows them all
        answers = await asyncio.to_thread(statuses, other, some)
        assert set(answers) <= {200, 503}
    never = [f"never{number}" for number in range(20)]
    for worker in (one, other):
        await readback.eventually(lambda each=worker: statuses(each, never) == {404: 20})  # type: ignore[misc]


async def test_what_is_decided_is_not_unknown_while_the_history_is_filled_again(
    two: list[Worker], postgres_url: str, redis_url: str
) -> None:
    environment = two[0].environment
    rows = sent(12_000)  # more than is listened to anew at a start
    await send_transactions(environment, list(rows.values()))
    await readback.everywhere(environment, len(rows))
    some = list(rows)[:2_000:50]
    for worker in two:
        await readback.eventually(lambda each=worker: statuses(each, some) == {200: len(some)})  # type: ignore[misc]
        assert await asyncio.to_thread(worker.terminate) == 0
    settings = load(environment)
    async with started_consumer(settings, f"{settings.app_id}-postgres") as consumer:
        partitions = [TopicPartition(settings.decisions_topic, number) for number in range(4)]
        consumer.assign(partitions)
        await consumer.commit(dict.fromkeys(partitions, 0))
    with redis_client.Redis.from_url(redis_url) as client:
        client.flushdb()
    connection = await asyncpg.connect(postgres_url.replace("+asyncpg", ""))
    await connection.execute("TRUNCATE decisions")
    async with connection.transaction():
        await connection.execute("LOCK TABLE decisions IN SHARE MODE")  # it can only be read
        await asyncio.gather(*(asyncio.to_thread(worker.start) for worker in two))
        answers = [await asyncio.to_thread(statuses, worker, some) for worker in two]
        # What only the index of the one has, the other cannot tell.
        assert set(answers[0] + answers[1]) <= {200, 503}
    await connection.close()
    for worker in two:
        await readback.eventually(lambda each=worker: statuses(each, some) == {200: len(some)})  # type: ignore[misc]


async def test_an_id_that_nobody_sent_is_unknown_to_all_workers(two: list[Worker]) -> None:
    never = [f"never{number}" for number in range(50)]
    rows = sent(200)
    await send_transactions(two[0].environment, list(rows.values()))
    for worker in two:
        await readback.eventually(
            lambda each=worker: each.stats()["decisions"]["total"] == len(rows)  # type: ignore[misc]
        )
        await readback.eventually(lambda each=worker: statuses(each, never) == {404: 50})  # type: ignore[misc]
    for worker in two:
        began = time.monotonic()
        assert await asyncio.to_thread(statuses, worker, never) == {404: 50}
        assert await asyncio.to_thread(statuses, worker, never[:8], wait=1) == {404: 8}
        assert time.monotonic() - began < EARLY_SECONDS


async def test_what_others_write_into_the_log_makes_nothing_known_and_nothing_doubtful(
    two: list[Worker],
) -> None:
    environment = two[0].environment
    rows = sent(100)
    await send_transactions(environment, list(rows.values()))
    await readback.everywhere(environment, len(rows))
    async with AIOKafkaProducer(
        bootstrap_servers=environment["FRAUD_BROKER_URL"].removeprefix("kafka://"),
        transactional_id="another program",
    ) as producer:
        for aborted in (False, True):
            await producer.begin_transaction()
            for number in range(8):
                topic, key = environment["FRAUD_DECISIONS_TOPIC"], b"never%d" % number
                await producer.send(topic, b"junk", key=key, partition=number % 4)
            await (producer.abort_transaction() if aborted else producer.commit_transaction())
    never = [f"never{number}" for number in range(20)]
    for worker in two:
        await readback.eventually(lambda each=worker: statuses(each, never) == {404: 20})  # type: ignore[misc]
        assert await asyncio.to_thread(statuses, worker, never) == {404: 20}
        assert await asyncio.to_thread(statuses, worker, rows) == {200: len(rows)}


async def test_what_is_decided_stays_known_while_partitions_move(
    two: list[Worker], new_worker: Callable[..., Worker], redis_server: Redis, postgres: Postgres
) -> None:
    done = Event()
    answers: Counter[tuple[str, int]] = Counter()

    def ask(name: str) -> None:
        number = 0
        while not done.is_set():
            id_ = f"{name}-{number}"
            number += 1
            asked, other = two if number % 2 else two[::-1]
            status, _ = asked.post(
                f"/transactions?wait_seconds={WAIT_SECONDS}", encoded(transaction(id_))
            )
            answers["posted", status] += 1
            if status == 200:
                for worker in (other, asked):
                    answers["asked", worker.get(f"/transaction/{id_}/status")[0]] += 1

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask, f"m{number}") for number in range(4)]
        try:
            for server in (redis_server, postgres):
                server.kill()
            third = await asyncio.to_thread(new_worker)
            await readback.eventually(lambda: answers["posted", 200] > 100)
            assert await asyncio.to_thread(third.terminate) == 0
            for server in (redis_server, postgres):
                await asyncio.to_thread(server.restart)
            before = answers["posted", 200]
            await readback.eventually(lambda: answers["posted", 200] > before + 50)
        finally:
            done.set()
        for each in asking:
            each.result()
    assert answers["asked", 404] == answers["asked", 202] == 0, answers
    assert answers["asked", 200] > answers["asked", 503], answers


async def test_a_worker_that_was_paused_calls_nothing_unknown_that_was_decided_meanwhile(
    new_worker: Callable[..., Worker], redis_server: Redis, postgres: Postgres
) -> None:
    quick = {"FRAUD_BROKER_SESSION_TIMEOUT": "6", "FRAUD_BROKER_HEARTBEAT_INTERVAL": "1"}
    one = await asyncio.to_thread(lambda: new_worker(**quick))
    other = await asyncio.to_thread(lambda: new_worker(**quick))
    for server in (redis_server, postgres):
        server.kill()
    one.child.pause()
    rows = sent(200)
    await send_transactions(one.environment, list(rows.values()))
    await readback.eventually(lambda: other.stats()["decisions"]["total"] == len(rows))
    with ThreadPoolExecutor(8) as pool:  # what it is asked first when it goes on
        paths = [f"/transaction/{each}/status" for each in rows]
        asked = [pool.submit(one.get, path) for path in paths]
        await asyncio.sleep(0.5)  # long enough for the first requests to lie there
        os.kill(one.child.pid, signal.SIGCONT)
        answers = Counter([each.result()[0] for each in asked])
    assert set(answers) <= {200, 503}
