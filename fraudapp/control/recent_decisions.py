"""Reads the last decisions of the log, on which a policy is tried before it is in force."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Final

from fraudapp.decisions.reader import LogReader
from fraudapp.settings import Settings
from models.records import Decision

RECORDS: Final = 100
"""Records that are read at once: decoding them takes about a millisecond."""


async def recent(settings: Settings, count: int) -> AsyncGenerator[list[Decision], None]:
    """Yield the last decisions under the schema of the settings, some at a time.

    They come partition by partition, from each about as many and the older ones first; `count` in
    all at most. Of several decisions under one id the first is taken. Raises `KafkaError`.
    """
    reader, seen = LogReader(settings), set[str]()
    version = settings.transaction_schema.version
    try:
        await reader.start()
        for partition, (start, end) in (await _ranges(reader, settings, count)).items():
            for offset in range(start, end, RECORDS):
                found = [
                    record.decision
                    async for records in reader.read(partition, offset, min(offset + RECORDS, end))
                    for record in records
                    if record.decision.schema_version == version
                ]
                first = [each for each in found if each.transaction_id not in seen]
                seen.update(each.transaction_id for each in first)
                if first:
                    yield first
    finally:
        await reader.stop()


async def _ranges(reader: LogReader, settings: Settings, count: int) -> dict[int, tuple[int, int]]:
    """Return the first offset to read of each partition, and the one after the last."""
    ends = await reader.ends(range(settings.topic_partitions))
    begins = {each: await reader.begin(each) for each in ends}
    # Records after an open transaction cannot be read yet.
    stable = {each: min(end.high_water, end.stable) for each, end in ends.items()}
    there = {each: max(0, stable[each] - begins[each]) for each in ends}
    return {
        each: (stable[each] - taken, stable[each]) for each, taken in shares(there, count).items()
    }


def shares(there: Mapping[int, int], count: int) -> dict[int, int]:
    """Divide a count among partitions, evenly as far as there are records in each."""
    taken, left = {}, count
    for place, partition in enumerate(sorted(there, key=lambda each: there[each])):
        taken[partition] = min(there[partition], left // (len(there) - place))
        left -= taken[partition]
    return taken
