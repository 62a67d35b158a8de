"""What the files of the archive are called, and what is in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from itertools import groupby
from operator import attrgetter
from typing import Final

from isal import igzip

from fraudapp.stores.base import Batch

TIMEOUT: Final = 10.0
"""Seconds a save may take."""
AT_ONCE: Final = 6_000
"""Decisions in a save, at most."""
GATHER: Final = 2.0
"""Seconds of decisions in a file: a file for each batch would be a hundred a second."""
DECISIONS: Final = "decisions"
SUFFIX: Final = ".jsonl.gz"
DAY: Final = "date="
_group: Final = attrgetter("decided_at", "topic", "partition")


def objects(batch: Batch) -> Iterator[tuple[str, bytes]]:
    """Yield key and content of each object which holds this batch.

    `decisions/date=D/topic=T/partition=P/FIRST-LAST.jsonl.gz`, with the UTC day of the decisions
    and the range of input offsets: the same batch saved again overwrites itself.
    """
    groups: dict[tuple[str, str, int], list[tuple[int, bytes]]] = defaultdict(list)
    pairs = zip(batch.decisions, batch.encoded, strict=True)
    # Those that were decided together come together.
    for (moment, topic, partition), together in groupby(pairs, key=lambda pair: _group(pair[0])):
        lines = groups[moment.date().isoformat(), topic, partition]
        lines.extend((decision.offset, encoded) for decision, encoded in together)
    for (day, topic, partition), lines in groups.items():
        lines.sort()
        span = f"{lines[0][0]:020d}-{lines[-1][0]:020d}"
        key = f"{DECISIONS}/{DAY}{day}/topic={topic}/partition={partition}/{span}{SUFFIX}"
        yield key, compress(b"".join(line + b"\n" for _, line in lines))


def compress(content: bytes) -> bytes:
    """Return it as gzip, the same bytes for the same content."""
    compressed: bytes = igzip.compress(content, 1, mtime=0)
    return compressed


def is_before(folder: str, day: date) -> bool:
    """Whether `date=D` is a day before; what is no day was not put there by us."""
    try:
        return date.fromisoformat(folder.removeprefix(DAY)) < day
    except ValueError:
        return False
