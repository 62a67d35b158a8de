"""Record batches: consecutive records of one partition and one fetch, as one Faust message.

Stock Faust has a fixed cost for each message before the agent does any work with it. A record batch
shares that cost among up to `MAX_BATCH_RECORDS` records.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

from aiokafka import ConsumerRecord
from faust import Schema
from faust.types import AppT, EventT, Message

MAX_BATCH_RECORDS: Final = 500
"""Records in a record batch, at most."""
MAX_BATCH_BYTES: Final = 1_000_000
"""Bytes in a record batch, at most, unless a single record is larger."""
_HEADER_OVERHEAD_BYTES: Final = 64
"""Bytes that a header takes in memory beside its name and content."""


class RecordBatch:
    """Consecutive records of one partition: the value of each message of an acknowledged topic.

    `SafeConsumer` delivers it. It is in flight until it is acknowledged or released there.
    """

    __slots__ = ("count", "end", "records", "size", "start")

    def __init__(self, records: Sequence[ConsumerRecord], size: int) -> None:
        """`size` is in bytes, of the keys, values and headers; `records` is not empty."""
        self.records = records
        self.size = size
        self.count = len(records)
        self.start: int = records[0].offset
        """Offset of the first record."""
        self.end: int = records[-1].offset + 1
        """Offset after the last record."""

    def drop_records(self) -> None:
        """Free the memory of the records, once they are processed and only the commit is left."""
        self.records, self.size = (), 0


def record_batch_of(message: Message) -> RecordBatch:
    """Return the record batch that is the value of a message of an acknowledged topic."""
    return cast(RecordBatch, message.value)


class RawSchema(Schema):  # type: ignore[type-arg]
    """A schema that passes message values on undecoded: record batches, or any bytes."""

    def compile(self, app: AppT, **kwargs: Any) -> Any:
        """See `faust.Schema.compile`; nothing is decoded, so no decoding error can come."""

        async def decode(message: Message, *, propagate: bool = False) -> EventT[Any]:
            return app.create_event(None, message.value, {}, message)

        return decode


def record_batches(records: Sequence[ConsumerRecord]) -> Iterator[RecordBatch]:
    """Divide the records of one fetch of one partition into record batches, in their order."""
    for start in range(0, len(records), MAX_BATCH_RECORDS):
        yield from _of_bounded_size(records[start : start + MAX_BATCH_RECORDS])


def _of_bounded_size(records: Sequence[ConsumerRecord]) -> Iterator[RecordBatch]:
    sizes = [
        len(record.value or b"") + len(record.key or b"") + sum(map(_header_size, record.headers))
        for record in records
    ]
    start = total = 0
    if sum(sizes) > MAX_BATCH_BYTES:
        for index, size in enumerate(sizes):
            if total + size > MAX_BATCH_BYTES and index > start:
                yield RecordBatch(records[start:index], total)
                start, total = index, 0
            total += size
    yield RecordBatch(records[start:], sum(sizes[start:]))


def _header_size(header: tuple[str, bytes | None]) -> int:
    name, content = header
    return _HEADER_OVERHEAD_BYTES + len(name) + len(content or b"")
