"""Names and contents of the archive's files: the format that a folder and a bucket share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timezone
from hashlib import blake2b
from itertools import groupby
from operator import attrgetter
from typing import Final
from urllib.parse import quote

from isal import igzip

from fraudapp.decisions.batch import Batch

SAVE_TIMEOUT: Final = 10.0
"""Seconds that a save may take."""
LEAST_RATE: Final = 1 << 20
"""Bytes that a large file has to get on by in a second, or is given up."""
MAX_BATCH_DECISIONS: Final = 6_000
"""Decisions in one save, at most."""
LINGER: Final = 2.0
"""Seconds of decisions in a file: with a file for each batch there would be far too many."""
DECISIONS: Final = "decisions"
LABELS: Final = "labels"
DATED: Final = (DECISIONS, LABELS)
"""Folders of folders named `date=D`, each with what is of the decisions of that UTC day."""
SUFFIX: Final = ".jsonl.gz"
CONTENT_TYPE: Final = "application/gzip"
DAY: Final = "date="
MAX_TOPIC_CHARACTERS: Final = 249
"""Characters of a topic in a file's path: Kafka's own limit, and a folder's name can hold them."""
DIGEST_BYTES: Final = 16
"""Bytes of the digest in a file's name."""
_group: Final = attrgetter("decided_at", "topic", "partition")


def objects(batch: Batch) -> Iterator[tuple[str, bytes]]:
    """Yield key and content of each file of a batch.

    The key is `decisions/date=D/topic=T/partition=P/FIRST-LAST-DIGEST.jsonl.gz`, with the UTC day
    of the decisions, the range of input offsets, and a digest of the lines. So saving the same
    lines again writes the same file, and other lines never replace it.
    """
    groups: dict[tuple[date, str, int], list[tuple[int, bytes]]] = defaultdict(list)
    pairs = zip(batch.decisions, batch.encoded, strict=True)
    # Decisions that were made together are next to each other in a batch.
    for (moment, topic, partition), together in groupby(pairs, key=lambda pair: _group(pair[0])):
        lines = groups[utc_day(moment), topic, partition]
        lines.extend((decision.offset, encoded) for decision, encoded in together)
    for (day, topic, partition), lines in groups.items():
        folder = f"{DECISIONS}/{DAY}{day}/topic={_quoted(topic)}/partition={partition}"
        yield file_of(folder, lines)


def file_of(folder: str, lines: Sequence[tuple[int, bytes]]) -> tuple[str, bytes]:
    """Return key and content of a file of lines, each with the offset that it is sorted by."""
    ordered = sorted(lines)
    content = b"".join(line + b"\n" for _, line in ordered)
    # After a rebalance, a file may have fewer lines between the same offsets. By the range alone it
    # would replace the file that has them all.
    digest = blake2b(content, digest_size=DIGEST_BYTES).hexdigest()
    name = f"{ordered[0][0]:020d}-{ordered[-1][0]:020d}-{digest}{SUFFIX}"
    return f"{folder}/{name}", compress(content)


def utc_day(moment: datetime) -> date:
    """Return the UTC day of a moment."""
    try:
        return moment.astimezone(timezone.utc).date()
    except OverflowError:  # at an end of the calendar, where there is no such day in UTC
        return moment.date()


def _quoted(topic: str) -> str:
    """Return a topic for a path, unchanged if Kafka could have a topic of that name."""
    return quote(topic, safe="")[:MAX_TOPIC_CHARACTERS]


def patience(size: int) -> float:
    """Return the seconds that a file of so many bytes may take to be written or read."""
    return SAVE_TIMEOUT + size / LEAST_RATE


def compress(content: bytes) -> bytes:
    """Return the content as gzip: the same bytes for the same content."""
    compressed: bytes = igzip.compress(content, 1, mtime=0)
    return compressed


def days_of(folders: Iterable[str]) -> list[date]:
    """Return the days of folders named `date=D`; other folders are not of the archive."""
    return [day for day in map(_day_of, folders) if day is not None]


def is_before(folder: str, day: date) -> bool:
    """Whether a folder is named `date=D`, with a day before this one."""
    found = _day_of(folder)
    return found is not None and found < day


def _day_of(folder: str) -> date | None:
    try:
        day = date.fromisoformat(folder.removeprefix(DAY))
    except ValueError:
        return None
    return day if folder == f"{DAY}{day}" else None  # Python reads other forms as well
