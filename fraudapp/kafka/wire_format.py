"""Reads every record that a broker returns, whatever its sender has put into it.

aiokafka raises on a header name that is no UTF-8, and decompresses without a limit. A worker would
then stop at the same record for ever. So a batch that aiokafka cannot read is read again by a
reader of our own, which takes any bytes. Records that cannot be read at all get the value `Unread`,
so that each offset is accounted for. Nothing is raised: aiokafka would then lose the records that
it has already taken from other partitions.

A batch is here one of Kafka's log format, and not a `fraudapp.kafka.record_batch.RecordBatch`.

The module uses private names of aiokafka. Its version is pinned, and a test fails when they change.
"""

from __future__ import annotations

import importlib
import logging
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final

import cramjam
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record import default_records, legacy_records, memory_records

from fraudapp.kafka import codecs
from fraudapp.kafka.stored_batch import CODECS, StoredBatch, is_costly, record_of, records_of
from models.parsing import Damaged, Unread

log = logging.getLogger(__name__)

MAX_FETCHES_OF_DAMAGED: Final = 5
"""Fetches of a batch whose checksum is wrong, as it may have been damaged on the network."""
MAX_UNPACKED_BYTES_PER_FETCH: Final = 64 << 20
"""Bytes unpacked of one partition after which its next batch is left for another fetch."""

_HEADER: Final = default_records.DefaultRecordBase.HEADER_STRUCT
_LOG_OVERHEAD: Final = struct.Struct(">qi")


class TooCostly(Exception):
    """aiokafka, which makes objects of all headers, would need too much memory for a batch."""


_UNREADABLE: Final = (
    TooCostly,
    CorruptRecordException,
    UnsupportedCodecError,
    UnicodeDecodeError,
    codecs.TooLarge,
    cramjam.DecompressionError,
    zlib.error,
)


class FetchedBatches(memory_records.MemoryRecords):  # type: ignore[misc]
    """The batches of one partition in one fetch, handed out one after the other."""

    current: FetchedBatches | None = None
    """Where a batch was taken from last; each batch is unpacked before the next one is taken."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self.batches_taken = 0
        self.unpacked_bytes = 0
        """Bytes that the batches taken so far were unpacked to."""
        self._raw = raw
        self._next_start = 0  # position of the next batch

    def has_next(self) -> bool:
        """Whether there is another batch, and room for it in memory."""
        return self.unpacked_bytes < MAX_UNPACKED_BYTES_PER_FETCH and bool(super().has_next())

    def next_batch(self) -> Any:
        """Take the next batch; if it `is_costly`, iterating over it raises `TooCostly`."""
        FetchedBatches.current = self
        self.batches_taken += 1
        batch = super().next_batch()
        payload_start = self._next_start + _HEADER.size
        _, length = _LOG_OVERHEAD.unpack_from(self._raw, self._next_start)
        self._next_start += _LOG_OVERHEAD.size + length
        # A compressed batch is checked when it is unpacked, see `_counted`.
        plain = isinstance(batch, default_records.DefaultRecordBatch) and not batch.compression_type
        if plain and is_costly(memoryview(self._raw)[payload_start : self._next_start]):
            return _CostlyBatch(batch)
        return batch

    def at(self, offset: int) -> StoredBatch:
        """Return the batch that holds an offset, or the first one after it."""
        pos = 0
        while (batch := self._batch(pos)).next_offset <= offset:
            pos += _HEADER.size + len(batch.payload)
        return batch

    def damaged(self) -> tuple[StoredBatch, int | None]:
        """Return the first batch, and the base offset of the second one, if it is there.

        Base offset and length of the first can be relied on: the broker has found it by them.
        """
        first = self._batch(0)
        end = _HEADER.size + len(first.payload)
        second = self._batch(end) if len(self._raw) >= end + _HEADER.size else None
        return first, second and second.base_offset

    def _batch(self, pos: int) -> StoredBatch:
        base_offset, length, _, _, _, attributes, last_delta, first_ts, max_ts, *_, count = (
            _HEADER.unpack_from(self._raw, pos)
        )
        payload = memoryview(self._raw)[pos + _HEADER.size : pos + _LOG_OVERHEAD.size + length]
        next_offset = base_offset + last_delta + 1
        return StoredBatch(base_offset, attributes, next_offset, first_ts, max_ts, payload, count)


class _CostlyBatch:
    """A batch of aiokafka's whose records may not be read; all else of it is as before."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        raise TooCostly


class TolerantRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """The records of one partition in one fetch, those that aiokafka cannot read included."""

    _records: FetchedBatches
    next_fetch_offset: int
    damaged_fetches: Final[dict[TopicPartition, tuple[int, int]]] = {}
    """By partition, base offset of the latest damaged batch, and how often it was fetched."""

    def _unpack_records(self) -> Iterator[ConsumerRecord[Any, Any]]:
        while True:
            beginning = None
            try:
                yield from super()._unpack_records()
                return
            except codecs.TooLarge as exc:
                beginning = exc.beginning
            except _UNREADABLE as exc:
                if "Invalid CRC" in str(exc):
                    # Records of the batches before it are delivered first; the next fetch begins
                    # with the damaged batch.
                    if self._records.batches_taken == 1:
                        yield from self._read_damaged_batch()
                    return
            # Not in the `except` block: there, the bytes unpacked for aiokafka would still be held.
            yield from self._read_tolerantly(beginning)

    def _read_tolerantly(self, beginning: bytearray | None) -> Iterator[ConsumerRecord[Any, Any]]:
        batch = self._records.at(self.next_fetch_offset)
        unpacked = batch.unpacked() if beginning is None else beginning
        self._records.unpacked_bytes += len(unpacked)
        for record in records_of(self._tp, batch, unpacked, whole=beginning is None):
            if record.offset >= self.next_fetch_offset:
                self.next_fetch_offset = record.offset + 1
                yield record
        yield from self._fill(Unread(b"", None), batch, batch.next_offset)
        self.next_fetch_offset = batch.next_offset

    def _read_damaged_batch(self) -> Iterator[ConsumerRecord[Any, Any]]:
        batch, following = self._records.damaged()
        base_offset, fetches = TolerantRecords.damaged_fetches.get(self._tp, (-1, 0))
        fetches = fetches + 1 if base_offset == batch.base_offset else 1
        TolerantRecords.damaged_fetches[self._tp] = batch.base_offset, fetches
        if fetches < MAX_FETCHES_OF_DAMAGED:
            return
        # The header has the number of records twice, and either one may be the damaged part.
        claimed = batch.next_offset - batch.base_offset, batch.record_count
        if following is None:
            end = max(batch.base_offset + min(claimed), self.next_fetch_offset + 1)
        else:
            end = min(batch.base_offset + max(claimed), following)
        if fetches == MAX_FETCHES_OF_DAMAGED:
            log.error(
                "%s/%d is damaged in the broker's log at offsets %d to %d",
                *(*self._tp, self.next_fetch_offset, end - 1),
            )
        yield from self._fill(Damaged(b"", None), batch, end)
        self.next_fetch_offset = following or end

    def _fill(
        self, value: Unread, batch: StoredBatch, end: int
    ) -> Iterator[ConsumerRecord[Any, Any]]:
        """Yield a record of this value for each offset up to `end` that is not yet delivered."""
        for offset in range(max(self.next_fetch_offset, batch.base_offset), end):
            self.next_fetch_offset = offset + 1
            yield record_of(self._tp, offset, batch.max_timestamp, None, value, [])


def _counted(decode: Callable[[Any], bytearray], check: bool) -> Callable[[Any], bytearray]:
    def decode_and_count(payload: Any) -> bytearray:
        unpacked = decode(payload)
        if FetchedBatches.current is not None:
            FetchedBatches.current.unpacked_bytes += len(unpacked)
        if check and is_costly(unpacked):
            raise TooCostly
        return unpacked

    return decode_and_count


def install() -> None:
    """Make every consumer of this process read in this way; safe to call again."""
    fetcher.MemoryRecords = FetchedBatches
    fetcher.PartitionRecords = TolerantRecords
    for batch_class in (default_records.DefaultRecordBatch, legacy_records.LegacyRecordBatch):
        module = importlib.import_module(batch_class.__module__)
        has_headers = batch_class is default_records.DefaultRecordBatch
        for name, decode in CODECS.items():
            if hasattr(module, name):  # legacy batches have no Zstandard
                setattr(module, name, _counted(decode, check=has_headers))
