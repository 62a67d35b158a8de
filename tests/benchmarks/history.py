"""How quick the history is: `python -m tests.benchmarks.history POSTGRES_URL [DAYS]`.

Saves batches of 1,000 decisions and looks ids up, in an empty database, with a partition for each
of so many days.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime, timedelta, timezone
from statistics import median
from time import perf_counter

import click

from fraudapp.decisions.batch import Batch
from fraudapp.sinks.postgres.sink import PostgresSink
from tests.support.decisions import decision

BATCHES = 60
BATCH_ROWS = 1_000


async def measure(url: str, days: int) -> str:
    sink = PostgresSink(url)
    await sink.open()
    today = datetime.now(timezone.utc)
    for day in range(0, days, 5) if hasattr(sink, "maintain") else ():
        await sink.maintain((today - timedelta(days=day)).date())
    batches = [
        Batch([decision(f"{number}-{n}", decided_at=today) for n in range(BATCH_ROWS)])
        for number in range(BATCHES)
    ]
    took = []
    for batch in batches:
        start = perf_counter()
        await sink.save(batch)
        took.append(perf_counter() - start)
    found = []
    for number in range(400):
        start = perf_counter()
        await sink.get(f"{number % BATCHES}-{number}")
        found.append(perf_counter() - start)
    await sink.close()
    return f"{BATCH_ROWS / median(took):,.0f} rows/s, {median(found) * 1e3:.2f} ms a lookup"


if __name__ == "__main__":
    click.echo(asyncio.run(measure(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0)))
