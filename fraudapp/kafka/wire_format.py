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
from typing import Any, Final, NamedTuple

import cramjam
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record import default_records, legacy_records, memory_records
from aiokafka.record.util import decode_varint

from fraudapp.kafka import codecs
from models.parsing import CUT_TO, Damaged, Unread

log = logging.getLogger(__name__)

MAX_HEADERS: Final = 200
"""Headers read of one record: one takes two bytes or more of a batch, and many more in memory."""
MAX_FETCHES_OF_DAMAGED: Final = 5
"""Fetches of a batch whose checksum is wrong, as it may have been damaged on the network."""
MAX_UNPACKED_BYTES_PER_FETCH: Final = 64 << 20
"""Bytes unpacked of one partition after which its next batch is left for another fetch."""

_HEADER: Final = default_records.DefaultRecordBase.HEADER_STRUCT
_CODEC_MASK: Final = 0x07
_LOG_OVERHEAD: Final = struct.Struct(">qi")
_CODECS: Final = {
    "gzip_decode": codecs.gunzip,
    "snappy_decode": codecs.unsnappy,
    "lz4_decode": codecs.unlz4,
    "zstd_decode": codecs.unzstd,
}
_CODEC_BY_ID: Final = dict(enumerate(_CODECS.values(), start=1))
_MIN_RECORD_BYTES: Final = 6
"""Bytes of a record after its length, at least."""
_MAX_RECORDS_CHECKED: Final = 100_000
"""Records of a batch that `is_costly` looks at."""


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


class _StoredBatch(NamedTuple):
    """A batch as the broker stores it, in version 2 of the log format.

    The header fields can be trusted only if the checksum is right.
    """

    base_offset: int
    attributes: int
    next_offset: int
    first_timestamp: int
    max_timestamp: int
    payload: memoryview

    record_count: int

    def unpacked(self) -> bytes | bytearray | memoryview:
        """Return the bytes of its records, or none if they cannot be decompressed."""
        codec = self.attributes & _CODEC_MASK
        if not codec:
            return self.payload
        try:
            return _CODEC_BY_ID[codec](self.payload)
        except (KeyError, cramjam.DecompressionError, zlib.error):
            return b""


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

    def at(self, offset: int) -> _StoredBatch:
        """Return the batch that holds an offset, or the first one after it."""
        pos = 0
        while (batch := self._batch(pos)).next_offset <= offset:
            pos += _HEADER.size + len(batch.payload)
        return batch

    def damaged(self) -> tuple[_StoredBatch, int | None]:
        """Return the first batch, and the base offset of the second one, if it is there.

        Base offset and length of the first can be relied on: the broker has found it by them.
        """
        first = self._batch(0)
        end = _HEADER.size + len(first.payload)
        second = self._batch(end) if len(self._raw) >= end + _HEADER.size else None
        return first, second and second.base_offset

    def _batch(self, pos: int) -> _StoredBatch:
        base_offset, length, _, _, _, attributes, last_delta, first_ts, max_ts, *_, count = (
            _HEADER.unpack_from(self._raw, pos)
        )
        payload = memoryview(self._raw)[pos + _HEADER.size : pos + _LOG_OVERHEAD.size + length]
        next_offset = base_offset + last_delta + 1
        return _StoredBatch(base_offset, attributes, next_offset, first_ts, max_ts, payload, count)


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
        self, value: Unread, batch: _StoredBatch, end: int
    ) -> Iterator[ConsumerRecord[Any, Any]]:
        """Yield a record of this value for each offset up to `end` that is not yet delivered."""
        for offset in range(max(self.next_fetch_offset, batch.base_offset), end):
            self.next_fetch_offset = offset + 1
            yield _record(self._tp, offset, batch.max_timestamp, None, value, [])


def records_of(
    tp: TopicPartition,
    batch: _StoredBatch,
    unpacked: bytes | bytearray | memoryview,
    *,
    whole: bool,
) -> Iterator[ConsumerRecord[Any, Any]]:
    """Yield the records of a batch, as far as `unpacked` holds them; raises nothing.

    `whole` says whether all of the batch is unpacked. Otherwise the value of the last record may be
    cut, and is then `Unread`.
    """
    pos, view = 0, memoryview(unpacked)
    while pos < len(view):
        try:
            length, pos = decode_varint(view, pos)
            record, end = _read(tp, batch, view, pos, pos + length)
        except (IndexError, ValueError):
            return
        pos += length
        if pos < end if not whole else pos != end:
            return  # length and content disagree, so the next record cannot be found
        yield record


def _read(
    tp: TopicPartition, batch: _StoredBatch, unpacked: memoryview, pos: int, end: int
) -> tuple[ConsumerRecord[Any, Any], int]:
    delta, pos = decode_varint(unpacked, pos + 1)  # after the attributes, which are unused
    offset, pos = decode_varint(unpacked, pos)
    log_append_time = batch.attributes & 0x08
    timestamp = batch.max_timestamp if log_append_time else batch.first_timestamp + delta
    key, pos = _field(unpacked, pos)
    value, pos = _field(unpacked, pos)
    headers: list[tuple[str, bytes | None]] = []
    if pos <= len(unpacked):
        count, pos = decode_varint(unpacked, pos)
        for _ in range(count):
            if pos > len(unpacked):
                break
            if len(headers) == MAX_HEADERS:
                pos = end
                break
            name, pos = _field(unpacked, pos)
            content, pos = _field(unpacked, pos)
            headers.append(((name or b"").decode(errors="backslashreplace"), content))
    return _record(tp, batch.base_offset + offset, timestamp, key, value, headers), pos


def _field(unpacked: memoryview, pos: int) -> tuple[bytes | None, int]:
    if pos > len(unpacked):
        return None, pos
    length, pos = decode_varint(unpacked, pos)
    if length < 0:
        return None, pos
    end = pos + length
    if end > len(unpacked):
        return Unread(bytes(unpacked[pos : pos + CUT_TO]), length), end
    return bytes(unpacked[pos:end]), end


def is_costly(records: Any) -> bool:
    """Whether a record has more than `MAX_HEADERS`, or the batch too many records to check.

    This runs for each record, so it looks only at the lengths of records; those can be relied on,
    since brokers check them. Only in a record long enough for that many headers are they counted.
    """
    pos = 0
    try:
        for _ in range(_MAX_RECORDS_CHECKED):
            if pos >= len(records):
                return False
            length, pos = decode_varint(records, pos)
            if length < _MIN_RECORD_BYTES or (length > 2 * MAX_HEADERS and _has_many(records, pos)):
                return True
            pos += length
    except (IndexError, ValueError):
        return True
    return True


def _has_many(records: Any, pos: int) -> bool:
    _, pos = decode_varint(records, pos + 1)
    _, pos = decode_varint(records, pos)
    for _ in ("key", "value"):
        length, pos = decode_varint(records, pos)
        pos += max(0, length)
    count, _ = decode_varint(records, pos)
    return bool(count > MAX_HEADERS)


def _record(
    tp: TopicPartition,
    offset: int,
    timestamp: int,
    key: bytes | None,
    value: bytes | None,
    headers: list[tuple[str, bytes | None]],
) -> ConsumerRecord[Any, Any]:
    sizes = [len(each) if each is not None else -1 for each in (key, value)]
    position = tp.topic, tp.partition, offset
    return ConsumerRecord(*position, timestamp, 0, key, value, None, *sizes, tuple(headers))


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
        for name, decode in _CODECS.items():
            if hasattr(module, name):  # legacy batches have no Zstandard
                setattr(module, name, _counted(decode, check=has_headers))
