"""Measures a running instance from outside: from produce to decision visible over HTTP.

    python tests/latency_probe.py [--url URL] [--count N] [--rate R] [--broker HOST:PORT]

Transactions are sent to Kafka on a schedule that does not wait for answers. A request waits for the
decision before its transaction is sent; latency is from the moment it should have been sent, so
that a stall counts for all that it delays. Above `--samples` requests a second only a random sample
of the transactions is asked for: one request each would cost more than what is measured. They are
sent by a process of their own, and what both processes use of the CPU is told.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import resource
import statistics
import time
import uuid
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import aiohttp
from confluent_kafka import Producer

STARTING = 60  # seconds the sending process may take to start, and to end
BEGINNING = 0.5  # seconds until the first transaction, once both processes are ready
AHEAD = 0.1  # seconds between a request and the transaction that it waits for
TICK = 0.001  # seconds between two looks at the schedule
WAIT = 30  # seconds a request waits


def transaction(transaction_id: str) -> dict[str, Any]:
    """A small legitimate payment."""
    return {
        "transaction_id": transaction_id,
        "step": 1,
        "type": "PAYMENT",
        "amount": 9839.64,
        "nameOrig": "C1231006815",
        "oldbalanceOrg": 170136.0,
        "newbalanceOrig": 160296.36,
        "nameDest": "M1979787155",
        "oldbalanceDest": 0.0,
        "newbalanceDest": 0.0,
    }


def sampled(count: int, rate: float, samples: float) -> Iterator[int]:
    """Numbers of the transactions that are asked for: at random, `samples` a second on average."""
    chance = samples / rate
    random_ = random.Random(20)
    return (number for number in range(count) if random_.random() < chance)


def send(options: argparse.Namespace, run: str, parent: Connection) -> None:
    """Send every transaction at its time, and report how late the latest was, in seconds.

    Says when it is ready, and is told when to begin: what a process takes to start is no latency.
    """
    producer = Producer(
        {
            "bootstrap.servers": options.broker,
            "partitioner": "murmur2_random",  # as Kafka's Java client
            "linger.ms": 0,
            "acks": 1,
        }
    )
    producer.list_topics(options.topic, timeout=30)
    parent.send(None)
    started: float = parent.recv()  # of the machine's clock, which is that of both processes
    before = _cpu_seconds()
    late, number = 0.0, 0
    while number < options.count:
        now = time.monotonic()
        due = min(options.count, int((now - started) * options.rate) + 1) if now >= started else 0
        if number < due:
            late = max(late, now - started - number / options.rate)
        for each in range(number, due):
            transaction_id = f"{run}-{each}"
            body = json.dumps(transaction(transaction_id)).encode()
            producer.produce(options.topic, body, transaction_id.encode())
        number = max(number, due)
        producer.poll(0)
        time.sleep(max(TICK, started + number / options.rate - time.monotonic()))
    if left := producer.flush(30):
        raise SystemExit(f"the broker has not taken {left} transactions")
    parent.send((late, _cpu_seconds() - before))


async def ask(options: argparse.Namespace, run: str, started: float) -> list[float]:
    """Latencies of the sampled transactions, in seconds."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=WAIT + 10)
    async with aiohttp.ClientSession(options.url, connector=connector, timeout=timeout) as session:

        async def one(number: int) -> float:
            due = started + number / options.rate
            await asyncio.sleep(max(0.0, due - AHEAD - time.monotonic()))
            path = f"/transaction/{run}-{number}/status?wait_seconds={WAIT}"
            async with session.get(path) as response:
                decision = await response.json()
                assert response.status == 200, decision
            return float(time.monotonic() - due)

        numbers = sampled(options.count, options.rate, options.samples)
        return await asyncio.gather(*map(one, numbers))


def probe(options: argparse.Namespace) -> dict[str, float]:
    """Percentiles in milliseconds, and what the measuring itself cost."""
    run = f"probe-{uuid.uuid4().hex[:8]}"
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    sender = context.Process(target=send, args=(options, run, theirs), daemon=True)
    sender.start()
    theirs.close()  # so that a sender which dies is no silence
    try:
        _next(ours)
        before = _cpu_seconds()
        started = time.monotonic() + BEGINNING
        ours.send(started)
        latencies = asyncio.run(ask(options, run, started))
        late, cpu_of_sender = _next(ours)
    finally:
        sender.terminate()
        sender.join()
    seconds = options.count / options.rate
    cuts = statistics.quantiles(latencies, n=1_000, method="inclusive")
    percentiles = {f"p{name}": cuts[int(name * 10) - 1] * 1_000 for name in (50, 95, 99, 99.9)}
    return percentiles | {
        "max": max(latencies) * 1_000,
        "samples": len(latencies),
        "sent_late_ms": late * 1_000,
        "cores_asking": (_cpu_seconds() - before) / seconds,
        "cores_sending": cpu_of_sender / seconds,
    }


def _next(sender: Connection) -> Any:
    if not sender.poll(STARTING):
        raise TimeoutError(f"no word from the process that sends, for {STARTING} seconds")
    try:
        return sender.recv()
    except EOFError:
        raise ConnectionError("the process that sends has ended; it says why above") from None


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Print the percentiles."""
    parser = argparse.ArgumentParser(description="Latency from produce to decision over HTTP.")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--broker", default="127.0.0.1:9092")
    parser.add_argument("--topic", default="transactions")
    parser.add_argument("--count", type=int, default=2_000, help="transactions to send")
    parser.add_argument("--rate", type=float, default=200.0, help="transactions a second")
    parser.add_argument("--samples", type=float, default=200.0, help="requests a second, at most")
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    options = parser.parse_args()
    figures = probe(options)
    if options.json:
        print(json.dumps(figures))  # noqa: T201
        return
    names = ("p50", "p95", "p99", "p99.9", "max")
    text = "  ".join(f"{name} {figures[name]:.1f} ms" for name in names)
    print(f"{options.count} transactions at {options.rate:g}/s: {text}")  # noqa: T201
    print(  # noqa: T201
        f"{figures['samples']:g} of them asked for; "
        f"the latest was sent {figures['sent_late_ms']:.1f} ms late; "
        f"cores: {figures['cores_asking']:.2f} asking, {figures['cores_sending']:.2f} sending"
    )


if __name__ == "__main__":
    main()
