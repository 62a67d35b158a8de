"""Measures a running instance from outside: from produce to decision visible over HTTP.

    python tests/latency_probe.py [--url URL] [--count N] [--rate R] [--broker HOST:PORT]

Each transaction is sent to Kafka while a request already waits for its decision. Latency is from
the moment it should have been sent, so that a stall counts for all that it delays.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import uuid
from time import perf_counter
from typing import Any

import aiohttp
from aiokafka import AIOKafkaProducer


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


async def probe(options: argparse.Namespace) -> list[float]:
    """Latencies of all transactions, in seconds."""
    run = f"probe-{uuid.uuid4().hex[:8]}"
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        AIOKafkaProducer(bootstrap_servers=options.broker) as producer,
        aiohttp.ClientSession(options.url, connector=connector) as session,
    ):
        started = perf_counter()

        async def one(number: int) -> float:
            transaction_id = f"{run}-{number}"
            due = started + number / options.rate
            await asyncio.sleep(max(0.0, due - perf_counter()))
            path = f"/transaction/{transaction_id}/status?wait_seconds=30"
            answer = asyncio.ensure_future(session.get(path))
            await producer.send(
                options.topic,
                json.dumps(transaction(transaction_id)).encode(),
                key=transaction_id.encode(),
            )
            async with await answer as response:
                decision = await response.json()
                assert response.status == 200, decision
            return float(perf_counter() - due)

        return await asyncio.gather(*(one(number) for number in range(options.count)))


def main() -> None:
    """Print the percentiles."""
    parser = argparse.ArgumentParser(description="Latency from produce to decision over HTTP.")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--broker", default="127.0.0.1:9092")
    parser.add_argument("--topic", default="transactions")
    parser.add_argument("--count", type=int, default=2_000, help="transactions to send")
    parser.add_argument("--rate", type=float, default=200.0, help="transactions a second")
    options = parser.parse_args()
    latencies = asyncio.run(probe(options))
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    figures = {f"p{percent}": cuts[percent - 1] * 1_000 for percent in (50, 95, 99)}
    figures["max"] = max(latencies) * 1_000
    text = "  ".join(f"{name} {milliseconds:.1f} ms" for name, milliseconds in figures.items())
    print(f"{options.count} transactions at {options.rate:g}/s: {text}")  # noqa: T201


if __name__ == "__main__":
    main()
