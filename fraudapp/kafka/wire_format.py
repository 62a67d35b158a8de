"""Reads every record that a broker hands out, whatever its sender has put into it.

aiokafka raises on a header name that is no UTF-8, and unpacks whatever comes; where that ends a
batch, the worker would stop at the same record for ever. Here such a batch is read again by a
reader of our own, which takes any bytes. What cannot be had at all is handed out as `Unread`, so
that each offset is accounted for. Nothing is raised: aiokafka would lose what it has taken from
other partitions by then.

Both lean on private names of aiokafka, which is pinned; a test fails when they change.
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

MOST_HEADERS: Final = 200
"""Headers of a record that are read, at most: two bytes of a batch make one of 64 or more."""
FETCHES: Final = 5
"""Times that a batch is fetched which is not as its checksum says: it may be damaged on its way."""
AT_ONCE: Final = 64 << 20
"""Bytes unpacked of one partition, from which on the next batch is left for another fetch."""

_HEADER: Final = default_records.DefaultRecordBase.HEADER_STRUCT
_CODEC: Final = 0x07
_LOG_OVERHEAD: Final = struct.Struct(">qi")
_CODECS: Final = {
    "gzip_decode": codecs.gunzip,
    "snappy_decode": codecs.unsnappy,
    "lz4_decode": codecs.unlz4,
    "zstd_decode": codecs.unzstd,
}
_BY_NUMBER: Final = dict(enumerate(_CODECS.values(), start=1))
_LEAST: Final = 6
"""Bytes of a record after its length, at least."""
_MOST_RECORDS: Final = 100_000
"""Records of a batch that are looked at before one is read."""


class Crowded(Exception):
    """A batch that holds more than aiokafka, which makes objects of all of it, should read."""


_UNREADABLE: Final = (
    Crowded,
    CorruptRecordException,
    UnsupportedCodecError,
    UnicodeDecodeError,
    codecs.TooLarge,
    cramjam.DecompressionError,
    zlib.error,
)


class _Raw(NamedTuple):
    """One batch as it is in the log (the format's version 2)."""

    base_offset: int
    attributes: int
    next_offset: int
    first_timestamp: int
    max_timestamp: int
    payload: memoryview

    records: int
    """How many it says to hold; all of these say what is true only while the checksum does."""

    def unpacked(self) -> bytes | bytearray | memoryview:
        """Its records, as far as they can be had."""
        codec = self.attributes & _CODEC
        if not codec:
            return self.payload
        try:
            return _BY_NUMBER[codec](self.payload)
        except (KeyError, cramjam.DecompressionError, zlib.error):
            return b""


class Batches(memory_records.MemoryRecords):  # type: ignore[misc]
    """The batches of one partition in one fetch."""

    reading: Batches | None = None
    """Those of which a batch was taken out last; a batch is unpacked before another is taken."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self.taken = 0
        """Batches taken so far."""
        self.unpacked = 0
        """Bytes that these were unpacked to."""
        self._raw = raw
        self._place = 0  # of the next one

    def has_next(self) -> bool:
        """Whether there is another one, and room for it in memory."""
        return self.unpacked < AT_ONCE and bool(super().has_next())

    def next_batch(self) -> Any:
        """Take out the next one."""
        Batches.reading = self
        self.taken += 1
        batch = super().next_batch()
        begin = self._place + _HEADER.size
        _, length = _LOG_OVERHEAD.unpack_from(self._raw, self._place)
        self._place += _LOG_OVERHEAD.size + length
        # What is compressed is looked at when it is unpacked.
        plain = isinstance(batch, default_records.DefaultRecordBatch) and not batch.compression_type
        if plain and crowded(memoryview(self._raw)[begin : self._place]):
            return _CrowdedBatch(batch)
        return batch

    def at(self, offset: int) -> _Raw:
        """Return the batch that holds an offset, or the first one after it."""
        place = 0
        while (batch := self._batch(place)).next_offset <= offset:
            place += _HEADER.size + len(batch.payload)
        return batch

    def damaged(self) -> tuple[_Raw, int | None]:
        """Return the first batch, and with which offset the second one begins, if it is there.

        Of the first, its own offset and size can be relied on: no broker could find it otherwise.
        """
        first = self._batch(0)
        end = _HEADER.size + len(first.payload)
        second = self._batch(end) if len(self._raw) >= end + _HEADER.size else None
        return first, second and second.base_offset

    def _batch(self, place: int) -> _Raw:
        offset, length, _, _, _, attributes, last, began, ended, *_, records = _HEADER.unpack_from(
            self._raw, place
        )
        payload = memoryview(self._raw)[place + _HEADER.size : place + _LOG_OVERHEAD.size + length]
        return _Raw(offset, attributes, offset + last + 1, began, ended, payload, records)


class _CrowdedBatch:
    """A batch of which everything may be asked but its records."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        raise Crowded


class AnyRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """The records of one partition in one fetch: all of them."""

    _records: Batches
    next_fetch_offset: int
    fetched: Final[dict[TopicPartition, tuple[int, int]]] = {}
    """Offset of the damaged batch that a partition has come to, and how often it was fetched."""

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
                    if self._records.taken == 1:  # else what was before it is dealt with first
                        yield from self._damaged()
                    return
            # Out here, what was unpacked for aiokafka is no longer held.
            yield from self._whatever_it_holds(beginning)

    def _whatever_it_holds(self, beginning: bytearray | None) -> Iterator[ConsumerRecord[Any, Any]]:
        batch = self._records.at(self.next_fetch_offset)
        unpacked = batch.unpacked() if beginning is None else beginning
        self._records.unpacked += len(unpacked)
        for record in records_of(self._tp, batch, unpacked, whole=beginning is None):
            if record.offset >= self.next_fetch_offset:
                self.next_fetch_offset = record.offset + 1
                yield record
        yield from self._none_of(Unread(b"", None), batch, batch.next_offset)
        self.next_fetch_offset = batch.next_offset

    def _damaged(self) -> Iterator[ConsumerRecord[Any, Any]]:
        batch, following = self._records.damaged()
        where, times = AnyRecords.fetched.get(self._tp, (-1, 0))
        times = times + 1 if where == batch.base_offset else 1
        AnyRecords.fetched[self._tp] = batch.base_offset, times
        if times < FETCHES:
            return
        # Either number of records may be the damage.
        claimed = batch.next_offset - batch.base_offset, batch.records
        if following is None:
            end = max(batch.base_offset + min(claimed), self.next_fetch_offset + 1)
        else:
            end = min(batch.base_offset + max(claimed), following)
        if times == FETCHES:
            where_all = *self._tp, self.next_fetch_offset, end - 1
            log.error("%s/%d is damaged in the broker's log at offsets %d to %d", *where_all)
        yield from self._none_of(Damaged(b"", None), batch, end)
        self.next_fetch_offset = following or end

    def _none_of(self, value: Unread, batch: _Raw, end: int) -> Iterator[ConsumerRecord[Any, Any]]:
        """Yield a record of this value for each offset that is left of a batch."""
        for offset in range(max(self.next_fetch_offset, batch.base_offset), end):
            self.next_fetch_offset = offset + 1
            yield _record(self._tp, offset, batch.max_timestamp, None, value, [])


def records_of(
    tp: TopicPartition, batch: _Raw, unpacked: bytes | bytearray | memoryview, *, whole: bool
) -> Iterator[ConsumerRecord[Any, Any]]:
    """Yield the records of a batch, up to where what is unpacked of it ends.

    Of one that is there in part only, the value is `Unread`.
    """
    place, view = 0, memoryview(unpacked)
    while place < len(view):
        try:
            length, place = decode_varint(view, place)
            record, end = _read(tp, batch, view, place, place + length)
        except (IndexError, ValueError):
            return
        place += length
        if place < end if not whole else place != end:
            return  # it does not hold together: nothing that follows can be found
        yield record


def _read(
    tp: TopicPartition, batch: _Raw, unpacked: memoryview, place: int, end: int
) -> tuple[ConsumerRecord[Any, Any], int]:
    delta, place = decode_varint(unpacked, place + 1)  # after the attributes, which are unused
    offset, place = decode_varint(unpacked, place)
    log_append_time = batch.attributes & 0x08
    timestamp = batch.max_timestamp if log_append_time else batch.first_timestamp + delta
    key, place = _field(unpacked, place)
    value, place = _field(unpacked, place)
    headers: list[tuple[str, bytes | None]] = []
    if place <= len(unpacked):
        count, place = decode_varint(unpacked, place)
        for _ in range(count):
            if place > len(unpacked):
                break
            if len(headers) == MOST_HEADERS:
                place = end
                break
            name, place = _field(unpacked, place)
            content, place = _field(unpacked, place)
            headers.append(((name or b"").decode(errors="backslashreplace"), content))
    return _record(tp, batch.base_offset + offset, timestamp, key, value, headers), place


def _field(unpacked: memoryview, place: int) -> tuple[bytes | None, int]:
    if place > len(unpacked):
        return None, place
    length, place = decode_varint(unpacked, place)
    if length < 0:
        return None, place
    end = place + length
    if end > len(unpacked):
        return Unread(bytes(unpacked[place : place + CUT_TO]), length), end
    return bytes(unpacked[place:end]), end


def crowded(records: Any) -> bool:
    """Whether a record has more than `MOST_HEADERS`, or it is not soon told; .3 us for each.

    Brokers check that records are as long as they say.
    """
    place = 0
    try:
        for _ in range(_MOST_RECORDS):
            if place >= len(records):
                return False
            length, place = decode_varint(records, place)
            if length < _LEAST or (length > 2 * MOST_HEADERS and _has_many(records, place)):
                return True
            place += length
    except (IndexError, ValueError):
        return True
    return True


def _has_many(records: Any, place: int) -> bool:
    _, place = decode_varint(records, place + 1)
    _, place = decode_varint(records, place)
    for _ in ("key", "value"):
        length, place = decode_varint(records, place)
        place += max(0, length)
    count, _ = decode_varint(records, place)
    return bool(count > MOST_HEADERS)


def _record(
    tp: TopicPartition,
    offset: int,
    timestamp: int,
    key: bytes | None,
    value: bytes | None,
    headers: list[tuple[str, bytes | None]],
) -> ConsumerRecord[Any, Any]:
    sizes = [len(each) if each is not None else -1 for each in (key, value)]
    where = tp.topic, tp.partition, offset
    return ConsumerRecord(*where, timestamp, 0, key, value, None, *sizes, tuple(headers))


def _counted(decode: Callable[[Any], bytearray], check: bool) -> Callable[[Any], bytearray]:
    def decode_and_count(payload: Any) -> bytearray:
        unpacked = decode(payload)
        if Batches.reading is not None:
            Batches.reading.unpacked += len(unpacked)
        if check and crowded(unpacked):
            raise Crowded
        return unpacked

    return decode_and_count


def install() -> None:
    """Let every consumer of this process read in this way; harmless if done before."""
    fetcher.MemoryRecords = Batches
    fetcher.PartitionRecords = AnyRecords
    for batch_class in (default_records.DefaultRecordBatch, legacy_records.LegacyRecordBatch):
        module = importlib.import_module(batch_class.__module__)
        has_headers = batch_class is default_records.DefaultRecordBatch
        for name, decode in _CODECS.items():
            if hasattr(module, name):  # version 1 knows no Zstandard
                setattr(module, name, _counted(decode, check=has_headers))
