"""Faust with `take_events`, its way to batches, and the sinks in bulk.

No table: one cannot be written from a batch (TypeError in 0.15.3).

    python -m tests.benchmarks.peers.stock_take worker -l warn
"""

from __future__ import annotations

import asyncio
from typing import Any

from models.schema.schema import PAYSIM
from tests.benchmarks.peers.bulk import Bulk
from tests.benchmarks.peers.deciding import Decider, Record
from tests.benchmarks.peers.faust_app import Payment, build, settings

app = build()
payments = app.topic(settings.transactions_topic, value_type=Payment)
bulk = Bulk(settings)
decider = Decider(settings)


@app.agent(payments)
async def decide(stream: Any) -> None:
    """Decide batches."""
    await bulk.open()
    async for batch in stream.take_events(500, within=0.1):
        await bulk.save(
            decider.transactions(
                (
                    Record(each.message.topic, each.message.partition, each.message.offset, b""),
                    PAYSIM.parser.from_mapping(each.value.asdict()),
                )
                for each in batch
            )
        )


if __name__ == "__main__":
    asyncio.set_event_loop(asyncio.new_event_loop())
    app.main()
