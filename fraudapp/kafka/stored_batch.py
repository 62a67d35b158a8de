"""The batches of Kafka's log format, version 2, read as far as their bytes can be read.

See the description of the record batch in Kafka's documentation, under "Message format".
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import cramjam
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.record.util import decode_varint

from fraudapp.kafka import codecs
from models.parsing import CUT_VALUE_BYTES, Unread

MAX_HEADERS: Final = 200
"""Headers read of one record: one takes two bytes or more of a batch, and many more in memory."""
_CODEC_MASK: Final = 0x07
CODECS: Final = {
    "gzip_decode": codecs.gunzip,
    "snappy_decode": codecs.unsnappy,
    "lz4_decode": codecs.unlz4,
    "zstd_decode": codecs.unzstd,
}
"""How to decompress, by the name that aiokafka has for it, in the order of Kafka's codec ids."""
_CODEC_BY_ID: Final = dict(enumerate(CODECS.values(), start=1))
_VARINT_GOES_ON: Final = 0x80
"""Bit of a byte of a varint that another one follows; a byte without it is 63 at most."""
_MIN_RECORD_BYTES: Final = 6
"""Bytes of a record after its length, at least."""
_MAX_RECORDS_CHECKED: Final = 100_000
"""Records of a batch that `is_costly` looks at."""


class StoredBatch(NamedTuple):
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


def records_of(
    tp: TopicPartition,
    batch: StoredBatch,
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
    tp: TopicPartition, batch: StoredBatch, unpacked: memoryview, pos: int, end: int
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
    return record_of(tp, batch.base_offset + offset, timestamp, key, value, headers), pos


def _field(unpacked: memoryview, pos: int) -> tuple[bytes | None, int]:
    if pos > len(unpacked):
        return None, pos
    length, pos = decode_varint(unpacked, pos)
    if length < 0:
        return None, pos
    end = pos + length
    if end > len(unpacked):
        return Unread(bytes(unpacked[pos : pos + CUT_VALUE_BYTES]), length), end
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
    pos += 1
    for _ in ("timestamp", "offset"):
        if records[pos] < _VARINT_GOES_ON:  # most take one byte, which is quicker to skip than read
            pos += 1
        else:
            _, pos = decode_varint(records, pos)
    for _ in ("key", "value"):
        length, pos = decode_varint(records, pos)
        if length > 0:
            pos += length
    if records[pos] < _VARINT_GOES_ON:
        return False
    count, _ = decode_varint(records, pos)
    return bool(count > MAX_HEADERS)


def record_of(
    tp: TopicPartition,
    offset: int,
    timestamp: int,
    key: bytes | None,
    value: bytes | None,
    headers: list[tuple[str, bytes | None]],
) -> ConsumerRecord[Any, Any]:
    """Return a record as aiokafka hands it out."""
    sizes = [len(each) if each is not None else -1 for each in (key, value)]
    position = tp.topic, tp.partition, offset
    return ConsumerRecord(*position, timestamp, 0, key, value, None, *sizes, tuple(headers))
