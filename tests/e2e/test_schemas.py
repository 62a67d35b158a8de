"""A worker decides the transactions of its schema, which may change while decisions stay."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from models.schema import presets
from models.schema.schema import preset
from tests.support import readback
from tests.support.messages import send_transactions, transaction
from tests.support.worker import Worker

JSON = ("--format", "json")
CARD = json.loads(presets.examples("cards")[0])


def card(transaction_id: str, **changes: Any) -> dict[str, Any]:
    return {**CARD, "transaction_id": transaction_id, **changes}


async def test_a_schema_changes_and_back_and_no_id_is_decided_twice(
    new_worker: Callable[..., Worker],
) -> None:
    worker = await asyncio.to_thread(new_worker)
    rows = [transaction(f"t{number}") for number in range(100)]
    await send_transactions(worker.environment, rows)
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == 100)
    paysims = worker.get("/transaction/t7/status")
    await readback.everywhere(worker.environment, 100)

    await changed(worker, "cards")
    cards = [card(f"c{number}", currency=("EUR", "SEK")[number % 2]) for number in range(50)]
    await send_transactions(worker.environment, [*cards, card("t7"), rows[8]])
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == 150)
    await readback.eventually(lambda: worker.stats()["dead_letters"]["total"] == 2)
    assert worker.stats()["dead_letters"] == {"total": 2, "conflict": 1, "invalid": 1}
    assert worker.get("/transaction/t7/status") == paysims
    status, decision = worker.get("/transaction/c7/status")
    assert (status, decision["transaction"]) == (200, card("c7", currency="SEK"))
    await readback.everywhere(worker.environment, 150)
    letters = await readback.in_topic(worker.environment, "dead_letters")
    details = sorted(dict(each.headers)["detail"].decode() for each in letters)
    assert any("at: is missing; customer_id: is missing" in each for each in details)
    assert any(each.startswith("another payload under a used transaction_id") for each in details)

    history = await readback.in_postgres(worker.environment)
    assert history["t7"]["transaction"] is history["t7"]["schema_version"] is None
    assert history["c7"]["schema_version"] == decision["schema_version"] == preset("cards").version
    assert json.loads(history["c7"]["transaction"]) == card("c7", currency="SEK")
    assert history["c7"]["amount"] == CARD["amount"]
    days = {str(row["decided_at"].date()) for row in history.values()}
    reports = [json.loads(worker.run("daily-report", "--date", day, *JSON)) for day in days]
    assert sum(each["total"] for each in reports) == 150
    currencies = {name for each in reports for name in each["amount_by_currency"]}
    assert currencies == {"(unknown)", "EUR", "SEK"}  # unknown: PaySim's

    await changed(worker, None)
    await send_transactions(worker.environment, [*rows, cards[7]])
    await readback.eventually(lambda: worker.stats()["duplicates"] == 100)
    await readback.eventually(lambda: worker.stats()["dead_letters"]["total"] == 3)
    assert worker.stats()["decisions"]["total"] == 150
    assert worker.get("/transaction/c7/status") == (200, decision)
    await readback.everywhere(worker.environment, 150)


async def changed(worker: Worker, schema: str | None) -> None:
    """Start it with another schema; the first time, it trains a model of it."""
    await asyncio.to_thread(worker.terminate)
    worker.environment |= {"FRAUD_SCHEMA": schema or ""}
    await asyncio.to_thread(worker.start)
