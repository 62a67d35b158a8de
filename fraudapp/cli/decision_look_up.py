"""The decision on one transaction, read from the decision log or from Postgres."""

from __future__ import annotations

from typing import Final

from fraudapp.decisions.reader import LogReader
from fraudapp.settings import Settings
from fraudapp.sinks.postgres.connection import tls
from fraudapp.sinks.postgres.sink import PostgresSink
from models.key_hash import key_partitions
from models.records import Decision

FETCH_BYTES: Final = 4 << 20
"""Bytes that one fetch brings: some thousand decisions."""


async def in_log(settings: Settings, transaction_id: str) -> Decision | None:
    """Return the decision, which is the first one under the id; None if the log has none.

    Reads the partition of the id, up to the decision. Raises `KafkaError`.
    """
    partition = key_partitions([transaction_id], settings.topic_partitions)[0]
    reader = LogReader(settings, max_partition_fetch_bytes=FETCH_BYTES)
    try:
        await reader.start()
        start = await reader.begin(partition)
        end = (await reader.ends([partition]))[partition].stable
        async for records in reader.read(partition, start, end):
            for each in records:
                if each.decision.transaction_id == transaction_id:
                    return each.decision
        return None
    finally:
        await reader.stop()


async def in_postgres(settings: Settings, transaction_id: str) -> Decision | None:
    """Return the same from Postgres, which lags behind the log; raises `SinkUnavailable`."""
    sink = PostgresSink(
        settings.postgres_url.get_secret_value(),
        pool_size=1,
        connecting=tls(settings),
        schema=settings.transaction_schema,
    )
    try:
        return await sink.get(transaction_id)
    finally:
        await sink.close()
