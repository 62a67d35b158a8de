"""Sinks and brokers that are down, workers that are paused, messages above every limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from aiokafka import AIOKafkaProducer

from fraudapp.local.postgres import Postgres
from fraudapp.local.redis import Redis
from fraudapp.local.server import Server
from tests.e2e.callers import all_waiting
from tests.servers.kafka import Kafka
from tests.servers.s3proxy import S3Proxy
from tests.support import readback
from tests.support.messages import encoded, send, send_transactions, transaction
from tests.support.worker import Worker


@pytest.mark.parametrize("down", ["redis_server", "postgres", "s3", "all"])
async def test_decisions_go_on_while_sinks_are_down_and_arrive_when_they_are_back(
    worker: Worker, down: str, redis_server: Redis, postgres: Postgres, s3: S3Proxy
) -> None:
    sinks: dict[str, Server] = {"redis_server": redis_server, "postgres": postgres, "s3": s3}
    broken = list(sinks.values()) if down == "all" else [sinks[down]]
    await send_transactions(worker.environment, [transaction("before")])
    await readback.everywhere(worker.environment, 1)
    for server in broken:
        server.kill()
    for number in range(20):
        body = encoded(transaction(f"t{number}"))
        status, decision = worker.post("/transactions?wait_seconds=10", body)
        assert (status, decision["transaction_id"]) == (200, f"t{number}")
        assert worker.get(f"/transaction/t{number}/status") == (200, decision)
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == 21)
    for server in broken:
        await asyncio.to_thread(server.restart)
    history = 21 if down not in ("redis_server", "all") else 20  # a Redis that keeps nothing
    await readback.eventually(lambda: len(readback.in_redis(worker.environment)) >= history)
    await readback.eventually(
        lambda: len(asyncio.run(readback.in_postgres(worker.environment))) == 21
    )
    await readback.eventually(lambda: len(asyncio.run(readback.in_s3(worker.environment))) == 21)


async def test_a_worker_killed_while_a_sink_is_down_loses_nothing(
    worker: Worker, postgres: Postgres
) -> None:
    postgres.kill()
    rows = [transaction(f"t{number}") for number in range(300)]
    await send_transactions(worker.environment, rows)
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == len(rows))
    await readback.acknowledged(worker.environment, len(rows))
    worker.kill()
    await asyncio.to_thread(worker.start)
    assert worker.stats()["decisions"]["total"] == len(rows)
    await asyncio.to_thread(postgres.restart)
    await readback.everywhere(worker.environment, len(rows))


async def test_one_id_in_every_partition_of_two_workers_is_decided_once(
    new_worker: Callable[..., Worker],
) -> None:
    one = await asyncio.to_thread(new_worker)
    other = await asyncio.to_thread(new_worker)
    topic = one.environment["FRAUD_TRANSACTIONS_TOPIC"]
    async with AIOKafkaProducer(
        bootstrap_servers=one.environment["FRAUD_BROKER_URL"].removeprefix("kafka://")
    ) as producer:
        for number in range(40):
            for partition in range(4):
                row = transaction(f"dup{number}", seed=partition % 2)
                await producer.send(topic, encoded(row), partition=partition)

    def settled() -> bool:
        stats = one.stats()
        totals = stats["decisions"]["total"], stats["duplicates"], stats["dead_letters"]["total"]
        return totals == (40, 40, 80)

    await readback.eventually(settled)
    await readback.everywhere(one.environment, 40)
    assert other.stats() == one.stats()


async def test_a_worker_paused_until_its_partitions_are_gone_doubles_nothing(
    new_worker: Callable[..., Worker],
) -> None:
    quick = {"FRAUD_BROKER_SESSION_TIMEOUT": "6", "FRAUD_BROKER_HEARTBEAT_INTERVAL": "1"}
    one = await asyncio.to_thread(lambda: new_worker(**quick))
    other = await asyncio.to_thread(lambda: new_worker(**quick))
    rows = [transaction(f"t{number}") for number in range(6_000)]
    sending = asyncio.create_task(send_transactions(one.environment, rows))
    await readback.eventually(lambda: other.stats()["decisions"]["total"] > 500)
    one.child.pause()
    await sending
    await readback.eventually(lambda: other.stats()["decisions"]["total"] >= len(rows), timeout=90)
    one.child.resume()
    await go_on_and_agree(one, other, len(rows))


async def test_partitions_that_nobody_has_committed_anything_of_are_taken_over_whole(
    new_worker: Callable[..., Worker],
) -> None:
    quick = {"FRAUD_BROKER_SESSION_TIMEOUT": "6", "FRAUD_BROKER_HEARTBEAT_INTERVAL": "1"}
    one = await asyncio.to_thread(lambda: new_worker(**quick))
    other = await asyncio.to_thread(lambda: new_worker(**quick))
    one.child.pause()
    rows = [transaction(f"t{number}") for number in range(2_000)]
    await send_transactions(one.environment, rows)
    await readback.eventually(lambda: other.stats()["decisions"]["total"] == len(rows))
    await readback.eventually(lambda: owners(other) == {port(other)})
    one.child.resume()
    # The worker that wakes up takes its share again, and neither doubles nor loses anything.
    await readback.eventually(lambda: owners(one) == owners(other) == {port(one), port(other)})
    await go_on_and_agree(one, other, len(rows))


async def go_on_and_agree(one: Worker, other: Worker, decided: int) -> None:
    """Send more to two workers that have decided so many; both, and all sinks, have it all."""
    late = [transaction(f"late{number}") for number in range(200)]
    await send_transactions(one.environment, late)
    total = decided + len(late)
    for worker in (one, other):
        await readback.eventually(
            lambda each=worker: (
                each.get("/readyz")[0] == 200  # type: ignore[misc]
                and each.stats()["decisions"]["total"] == total
            )
        )
    await readback.everywhere(other.environment, total)
    history = await readback.in_postgres(other.environment)
    assert other.stats()["decisions"] == one.stats()["decisions"] == readback.outcomes(history)


def port(worker: Worker) -> str:
    """The port of its web server, which is its name here."""
    return worker.environment["FRAUD_WEB_PORT"]


def owners(worker: Worker) -> set[str]:
    """The ports of the workers that own partitions, as far as this worker has heard."""
    status, details = worker.get("/stats/details")
    partitions = details["partitions"] if status == 200 else []
    return {each["worker"].rpartition(":")[2] for each in partitions}


async def test_the_broker_may_be_away_for_a_while(worker: Worker, kafka: Kafka) -> None:
    rows = [transaction(f"t{number}") for number in range(3_000)]
    await send_transactions(worker.environment, rows)
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] > 100)
    kafka.kill()
    await asyncio.to_thread(kafka.restart)
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == len(rows))
    await readback.everywhere(worker.environment, len(rows))
    assert worker.child.running
    # The client cannot connect hundreds of times a second, which must not drown all else.
    assert 0 < worker.log.read_text().count("Unable connect to node") < 30


async def test_a_broker_that_is_frozen_holds_nobody_up_who_sends(
    worker: Worker, kafka: Kafka
) -> None:
    kafka.pause()
    path, body = "/transactions?wait_seconds=1", encoded(transaction("t"))
    status, problem = await asyncio.to_thread(worker.post, path, body)  # it gives up after 40 s
    assert status == 503, problem
    kafka.resume()
    await readback.eventually(lambda: worker.post(path, body)[0] == 200)
    assert worker.stats()["decisions"]["total"] == 1


async def test_messages_that_no_limit_foresaw_stop_nobody(worker: Worker) -> None:
    topics = {
        name: worker.environment[f"FRAUD_{name}_TOPIC"] for name in ("TRANSACTIONS", "DECISIONS")
    }
    async with AIOKafkaProducer(
        bootstrap_servers=worker.environment["FRAUD_BROKER_URL"].removeprefix("kafka://"),
        max_request_size=20_000_000,
        compression_type="gzip",
    ) as producer:
        bomb = b"x" * 9_000_000  # far smaller on its way, and far above every limit here
        await producer.send_and_wait(topics["TRANSACTIONS"], bomb)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(worker.get, "/transaction/t/status?wait_seconds=20")
            for key in (b"\xff", b"t", b"t"):
                await producer.send_and_wait(topics["DECISIONS"], b"junk", key=key, partition=0)
            await producer.send_and_wait(topics["DECISIONS"], None, key=b"t", partition=1)
            await send(worker.environment, [(b"k", encoded(transaction("t")))])
            assert (await asyncio.wrap_future(waiting))[0] == 200
    await readback.eventually(lambda: worker.stats()["dead_letters"]["total"] == 1)
    (dead_letter,) = await readback.in_topic(worker.environment, "dead_letters")
    headers = {name: value.decode() for name, value in dead_letter.headers}
    assert headers["raw-bytes"] == str(len(bomb))
    assert bomb.startswith(dead_letter.value)


async def test_whoever_waits_is_answered_by_the_decision_and_by_no_clock(worker: Worker) -> None:
    with ThreadPoolExecutor(2) as pool:
        longer = pool.submit(worker.get, "/transaction/later/status?wait_seconds=30")
        await all_waiting(worker, 1)
        waiting = pool.submit(worker.get, "/transaction/soon/status?wait_seconds=30")
        await all_waiting(worker, 2)
        await send_transactions(worker.environment, [transaction("soon")])
        status, decision = await asyncio.wrap_future(waiting)
        assert (status, decision["transaction"]) == (200, transaction("soon"))
        assert not longer.done()  # whose wait would have ended before
        await send_transactions(worker.environment, [transaction("later")])
        status, decision = await asyncio.wrap_future(longer)
        assert (status, decision["transaction"]) == (200, transaction("later"))


def test_ids_that_no_transaction_can_have_are_unknown(worker: Worker) -> None:
    for path in ("a%00b", "a%0A[CRITICAL]%20forged", "x" * 129, "%F0%9F%98%80" * 129):
        status, problem = worker.get(f"/transaction/{path}/status")
        assert status == 404, problem
    assert "\n[CRITICAL]" not in worker.log.read_text()
