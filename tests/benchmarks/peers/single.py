"""The stores of the contenders that save one event at a time, awaiting each store in turn."""

from __future__ import annotations

from typing import Any, Final

from models.records import Decision
from tests.benchmarks.peers.bulk import STORING, Bulk, columns
from tests.benchmarks.peers.deciding import encode

OBJECT: Final = 500
"""Lines of an object on S3. One object for each event would be slower still, and nobody does it."""

_ROW: Final = ", ".join(f"${number}" for number in range(1, 22))
INSERT: Final = f"INSERT INTO decisions VALUES ({_ROW}) ON CONFLICT DO NOTHING"


class Single:
    """One SET, one INSERT, one line of an object for each decision."""

    def __init__(self, bulk: Bulk, prefix: str) -> None:
        self._bulk = bulk
        self._prefix = prefix
        self._lines: list[bytes] = []

    async def save(self, decision: Decision) -> None:
        """Keep one decision everywhere."""
        if STORING:
            encoded = encode(decision)
            await self._bulk.redis.set(
                f"{self._prefix}:decision:{decision.transaction_id}", encoded
            )
            row: list[Any] = [column[0] for column in columns([decision])]
            await self._bulk.postgres.execute(INSERT, *row)
            self._lines.append(encoded)
            if len(self._lines) >= OBJECT:
                await self._bulk.to_s3(self._lines)
                self._lines = []
        self._bulk.progress.add(1)
