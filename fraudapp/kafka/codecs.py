"""Decompresses the batches of Kafka, of every codec it has, within a bound of memory.

A few kilobytes can unpack to gigabytes. The decoders that aiokafka uses unpack whatever comes;
these stop at `LARGEST` and say how far they have come.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

import cramjam

from models.errors import Rejected

LARGEST: Final = 64 << 20
"""Bytes that a batch may unpack to; an ordinary one has some megabytes. So much is taken once."""
_GUESS: Final = 16
"""Times that JSON is larger unpacked, as a first guess."""
_PIECE: Final = 1 << 20
"""Bytes that are unpacked at once, where there is a choice."""
_XERIAL: Final = b"\x82SNAPPY\0"
"""What blocks of Snappy as Java writes them begin with; two version numbers follow."""


class TooLarge(Rejected):
    """A batch that unpacks to more than `LARGEST` bytes."""

    def __init__(self, beginning: bytearray) -> None:
        """`beginning` is what was unpacked before that was known; it may be empty."""
        self.beginning = beginning
        super().__init__(f"unpacks to more than {LARGEST:,} bytes")


def gunzip(payload: Any) -> bytearray:
    """Unpack gzip; raises `TooLarge`, or `zlib.error` for what is no gzip."""
    rest, room = bytes(payload), bytearray()
    while rest:
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            piece = member.decompress(rest, min(_PIECE, LARGEST + 1 - len(room)))
            rest = member.unconsumed_tail
            if not (piece or rest or member.eof):
                raise zlib.error("the compressed data ends too early")
            room += piece
            if len(room) > LARGEST:
                raise TooLarge(room)
        rest = member.unused_data
    return room


def unzstd(payload: Any) -> bytearray:
    """Unpack Zstandard; see `gunzip`."""
    return _into(cramjam.zstd, bytes(payload))


def unlz4(payload: Any) -> bytearray:
    """Unpack LZ4 frames; see `gunzip`."""
    return _into(cramjam.lz4, bytes(payload))


def unsnappy(payload: Any) -> bytearray:
    """Unpack Snappy, in blocks as Java writes it or as one; see `gunzip`."""
    raw, room = bytes(payload), bytearray()
    if not raw.startswith(_XERIAL):
        _add_snappy_block(room, raw)
        return room
    place = len(_XERIAL) + 8
    while place < len(raw):
        length = int.from_bytes(raw[place : place + 4], "big")
        place += 4
        _add_snappy_block(room, raw[place : place + length])
        place += length
    return room


def _add_snappy_block(room: bytearray, block: bytes) -> None:
    size = int(cramjam.snappy.decompress_raw_len(block))
    if len(room) + size > LARGEST:
        raise TooLarge(room)
    start = len(room)
    room += bytes(size)
    with memoryview(room)[start:] as rest:
        used = cramjam.snappy.decompress_raw_into(block, rest)
    del room[start + used :]


def _into(codec: Any, payload: bytes) -> bytearray:
    size = max(64 << 10, _GUESS * len(payload))
    while True:
        room = bytearray(min(size, LARGEST + 1))
        try:
            used = codec.decompress_into(payload, room)
        except cramjam.DecompressionError as exc:
            if "whole buffer" not in str(exc):  # it is full: nothing else is said so
                raise
            if len(room) > LARGEST:
                raise TooLarge(room) from exc
            size = _GUESS * len(room)
            del room
        else:
            if used > LARGEST:
                raise TooLarge(room)
            del room[used:]
            return room
