"""Decompresses the batches of Kafka, of every codec it has, within a bound of memory.

A few kilobytes can unpack to gigabytes. The decoders that aiokafka uses unpack whatever comes;
these stop at `LARGEST` and say how far they have come.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

import cramjam

LARGEST: Final = 256 << 20
"""Bytes that a batch may unpack to. Brokers take requests of 100 MB by default, so no producer has
had as much in hand; an ordinary batch has some megabytes."""
_GUESS: Final = 16
"""Times that JSON is larger unpacked, as a first guess."""
_XERIAL: Final = b"\x82SNAPPY\0"
"""What blocks of Snappy as Java writes them begin with; two version numbers follow."""


class TooLarge(Exception):
    """A batch that unpacks to more than `LARGEST` bytes."""

    def __init__(self, beginning: bytes) -> None:
        """`beginning` is what was unpacked before that was known; it may be empty."""
        self.beginning = beginning
        super().__init__(f"unpacks to more than {LARGEST:,} bytes")


def gunzip(payload: Any) -> bytes:
    """Unpack gzip; raises `TooLarge`, or `zlib.error` for what is no gzip."""
    rest, parts, size = bytes(payload), [], 0
    while rest:
        member = zlib.decompressobj(wbits=31)
        parts.append(member.decompress(rest, LARGEST + 1 - size))
        size += len(parts[-1])
        if size > LARGEST:
            raise TooLarge(b"".join(parts))
        if not member.eof:
            raise zlib.error("the compressed data ends too early")
        rest = member.unused_data
    return b"".join(parts)


def unzstd(payload: Any) -> bytes:
    """Unpack Zstandard; see `gunzip`."""
    return _into(cramjam.zstd, bytes(payload))


def unlz4(payload: Any) -> bytes:
    """Unpack LZ4 frames; see `gunzip`."""
    return _into(cramjam.lz4, bytes(payload))


def unsnappy(payload: Any) -> bytes:
    """Unpack Snappy, in blocks as Java writes it or as one; see `gunzip`."""
    raw = bytes(payload)
    if not raw.startswith(_XERIAL):
        return _snappy_block(raw, 0)
    parts, size, place = [], 0, len(_XERIAL) + 8
    while place < len(raw):
        length = int.from_bytes(raw[place : place + 4], "big")
        place += 4
        try:
            parts.append(_snappy_block(raw[place : place + length], size))
        except TooLarge as exc:
            raise TooLarge(b"".join(parts)) from exc
        size += len(parts[-1])
        place += length
    return b"".join(parts)


def _snappy_block(block: bytes, before: int) -> bytes:
    if before + int(cramjam.snappy.decompress_raw_len(block)) > LARGEST:
        raise TooLarge(b"")
    return bytes(cramjam.snappy.decompress_raw(block))


def _into(codec: Any, payload: bytes) -> bytes:
    size = max(64 << 10, _GUESS * len(payload))
    while True:
        room = bytearray(min(size, LARGEST + 1))
        try:
            used = codec.decompress_into(payload, room)
        except cramjam.DecompressionError as exc:
            if "whole buffer" not in str(exc):  # it is full: nothing else is said so
                raise
            if len(room) > LARGEST:
                raise TooLarge(bytes(room)) from exc
            size = _GUESS * len(room)
        else:
            if used > LARGEST:
                raise TooLarge(bytes(room))
            return bytes(memoryview(room)[:used])
