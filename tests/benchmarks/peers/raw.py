"""The limit: an aiokafka loop that parses, scores and saves, with no guarantees at all.

No duplicate check, no decision log, no table, no dead letters; offsets are committed by the clock,
before or after the work. The next batch is fetched and scored while the last ones are saved.
"""

from __future__ import annotations

import asyncio
from collections import deque

import uvloop
from aiokafka import AIOKafkaConsumer

from fraudapp.settings import load
from tests.benchmarks.peers.bulk import Bulk
from tests.benchmarks.peers.deciding import Decider, Record

BATCH_ROWS = 2_000
MAX_IN_FLIGHT = 3  # batches on their way to the sinks


async def main() -> None:
    """Run until killed."""
    settings = load()
    bulk, decider = Bulk(settings), Decider(settings)
    await bulk.open()
    saving: deque[asyncio.Task[None]] = deque()
    async with AIOKafkaConsumer(
        settings.transactions_topic,
        bootstrap_servers=settings.bootstrap_servers,
        group_id=settings.app_id,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 << 20,
    ) as consumer:
        while True:
            fetched = await consumer.getmany(timeout_ms=200, max_records=BATCH_ROWS)
            decisions = decider.messages(
                Record(record.topic, record.partition, record.offset, record.value)
                for records in fetched.values()
                for record in records
            )
            saving.append(asyncio.create_task(bulk.save(decisions)))
            # Sends what the new task has to send before the loop is busy with the next batch.
            await asyncio.sleep(0)
            if len(saving) > MAX_IN_FLIGHT:
                await saving.popleft()


if __name__ == "__main__":
    uvloop.run(main())
