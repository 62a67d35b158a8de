"""Messages of every kind, good and bad."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

TYPES = ("CASH_IN", "CASH_OUT", "DEBIT", "PAYMENT", "TRANSFER")


def transaction(transaction_id: str, seed: int = 0, **changes: Any) -> dict[str, Any]:
    """A valid transaction; the same for the same id and seed."""
    random_ = random.Random(f"{transaction_id}-{seed}")
    balance = round(random_.uniform(0, 1e6), 2)
    drained = random_.random() < 0.2
    amount = balance if drained else round(random_.uniform(1, 5e5), 2)
    fields = {
        "transaction_id": transaction_id,
        "step": random_.randint(1, 700),
        "type": random_.choice(("TRANSFER", "CASH_OUT") if drained else TYPES),
        "amount": amount,
        "nameOrig": f"C{random_.randint(1, 10**9)}",
        "oldbalanceOrg": balance,
        "newbalanceOrig": max(0.0, round(balance - amount, 2)),
        "nameDest": f"C{random_.randint(1, 10**9)}",
        "oldbalanceDest": 0.0,
        "newbalanceDest": 0.0,
        "isFraud": int(drained),
        "isFlaggedFraud": 0,
    }
    return fields | changes


def encoded(fields: Mapping[str, Any]) -> bytes:
    """A transaction as its message."""
    return json.dumps(fields).encode()


def bad_messages(count: int) -> Iterator[bytes | None]:
    """Messages that are no transactions, each unlike the others."""
    for number in range(count):
        good = transaction(f"bad-{number}")
        kinds: list[bytes | None] = [
            encoded(good)[: -1 - number % 50],  # broken JSON
            b"" if number % 2 else None,  # empty value
            encoded(good | {"amount": f"{number}.5"}),  # wrong type
            encoded(good | {"amount": float("nan"), "step": number + 1}),
            encoded(good | {"type": f"TYPE_{number}"}),  # unknown type
            b"x" * (2_000_000 + number) if number < 20 else encoded({"n": number}),  # 2 MB of text
            b"\xff\xfe" + encoded(good),  # not UTF-8
            encoded(good | {"isFraud": True}),
            encoded(good | {"transaction_id": f"nul\x00{number}"}),
            encoded({name: value for name, value in good.items() if name != "step"}),
        ]
        yield kinds[number % len(kinds)]


async def send(
    environment: Mapping[str, str], messages: Sequence[tuple[bytes | None, bytes | None]]
) -> None:
    """Send (key, value) pairs to the topic of transactions, in order."""
    async with AIOKafkaProducer(
        bootstrap_servers=environment["FRAUD_BROKER_URL"].removeprefix("kafka://"),
        max_request_size=8_000_000,
    ) as producer:
        topic = environment["FRAUD_TRANSACTIONS_TOPIC"]
        sent = [await producer.send(topic, value, key=key) for key, value in messages]
        for each in sent:
            await each


async def send_transactions(
    environment: Mapping[str, str], transactions: list[dict[str, Any]]
) -> None:
    """Send transactions, keyed by their ids."""
    await send(
        environment, [(each["transaction_id"].encode(), encoded(each)) for each in transactions]
    )
