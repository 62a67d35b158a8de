"""What aiokafka delivers when nothing is done with it."""

from __future__ import annotations

import uvloop
from aiokafka import AIOKafkaConsumer

from fraudapp.settings import load
from tests.benchmarks.peers.bulk import Progress


async def main() -> None:
    """Run until killed."""
    settings, progress = load(), Progress()
    async with AIOKafkaConsumer(
        settings.transactions_topic,
        bootstrap_servers=settings.bootstrap_servers,
        group_id=settings.app_id,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 << 20,
    ) as consumer:
        while True:
            fetched = await consumer.getmany(timeout_ms=200, max_records=5_000)
            progress.add(sum(map(len, fetched.values())))


if __name__ == "__main__":
    uvloop.run(main())
