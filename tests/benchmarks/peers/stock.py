"""Faust as its documentation shows it: a Record, an agent with `async for`, a table of counts.

python -m tests.benchmarks.peers.stock worker -l warn
"""

from __future__ import annotations

import asyncio
from typing import Any

from models.schema.schema import PAYSIM
from tests.benchmarks.peers.bulk import Bulk
from tests.benchmarks.peers.deciding import Decider, Record
from tests.benchmarks.peers.faust_app import Payment, build, settings
from tests.benchmarks.peers.single import Single

app = build()
payments = app.topic(settings.transactions_topic, value_type=Payment)
counts = app.Table("counts", default=int, partitions=settings.topic_partitions)
bulk = Bulk(settings)
decider = Decider(settings)


@app.agent(payments)
async def decide(stream: Any) -> None:
    """Decide one transaction after the other."""
    single = Single(bulk, settings)
    await single.open()
    async for event in stream.events():
        message = event.message
        where = Record(message.topic, message.partition, message.offset, b"")
        (decision,) = decider.transactions(
            [(where, PAYSIM.parser.from_mapping(event.value.asdict()))]
        )
        counts[decision.decision.value] += 1
        await single.save(decision)


if __name__ == "__main__":
    asyncio.set_event_loop(asyncio.new_event_loop())
    app.main()
