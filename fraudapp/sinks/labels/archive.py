"""Labels in the archive: compressed files of JSON lines, each line a decision with its labels."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Final

import msgspec

from fraudapp.labels.records import LabelledRecord
from fraudapp.sinks.archive.archive import Archive
from fraudapp.sinks.archive.files import CONTENT_TYPE, DAY, LABELS, file_of, utc_day

MAX_UPLOADS: Final = 8
"""Files that are written at a time."""


class ArchivedLabels:
    """Keeps labels beside decisions, by the UTC day of the decision that they are about.

    Of several lines about one transaction, wherever they are, that with the largest `version`
    counts.
    """

    name = "archive"
    max_batch = 5_000
    linger = 10.0

    def __init__(self, archive: Archive) -> None:
        """`archive` is not yet opened, and nobody else's."""
        self._archive = archive

    async def open(self) -> None:
        """See `LabelStore.open`."""
        await self._archive.open()

    async def close(self) -> None:
        """See `LabelStore.close`."""
        await self._archive.close()

    async def keep(self, records: Sequence[LabelledRecord]) -> None:
        """See `LabelStore.keep`."""
        files = await asyncio.to_thread(lambda: [*files_of(records)])
        turn = asyncio.Semaphore(MAX_UPLOADS)

        async def write(key: str, content: bytes) -> None:
            async with turn:
                await self._archive.write(key, content, CONTENT_TYPE)

        writing = [asyncio.ensure_future(write(*each)) for each in files]
        try:
            await asyncio.gather(*writing)
        finally:
            for each in writing:  # one has failed: all of them are written again
                each.cancel()


def files_of(records: Iterable[LabelledRecord]) -> Iterator[tuple[str, bytes]]:
    """Yield key and content of each file.

    The key is `labels/date=D/partition=P/FIRST-LAST-DIGEST.jsonl.gz`, with the UTC day of the
    decisions, the range of offsets in the labelled topic, and a digest of the lines.
    """
    groups: defaultdict[tuple[date, int], dict[int, bytes]] = defaultdict(dict)
    for each in records:
        day = utc_day(each.labelled.decision.decided_at)
        groups[day, each.partition][each.offset] = _line(each.encoded)
    for (day, partition), lines in groups.items():
        yield file_of(f"{LABELS}/{DAY}{day}/partition={partition}", [*lines.items()])


def _line(encoded: bytes) -> bytes:
    # Between its tokens, JSON may have line breaks.
    return msgspec.json.format(encoded, indent=-1) if b"\n" in encoded else encoded
