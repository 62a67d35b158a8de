"""Decompresses batches of Kafka's log format, with each of its codecs, in bounded memory.

A few kilobytes can decompress to gigabytes, and the decoders of aiokafka have no limit. These stop
at `MAX_UNPACKED_BYTES`, and hand out the part that they have decompressed by then.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

import cramjam

from models.errors import Rejected

MAX_UNPACKED_BYTES: Final = 64 << 20
"""Bytes that a batch may unpack to, far more than an ordinary one has; allocated once."""
_EXPECTED_RATIO: Final = 16
"""Unpacked size over packed size, as a first guess for JSON; also the growth of a full buffer."""
_GZIP_PIECE_BYTES: Final = 1 << 20
"""Bytes that one call of zlib may unpack."""
_XERIAL_MAGIC: Final = b"\x82SNAPPY\0"
"""Begins the block format of Snappy's Java library; two version numbers follow."""


class TooLarge(Rejected):
    """A batch that unpacks to more than `MAX_UNPACKED_BYTES`."""

    def __init__(self, beginning: bytearray) -> None:
        """`beginning` is the part unpacked until then; it may be empty."""
        self.beginning = beginning
        super().__init__(f"unpacks to more than {MAX_UNPACKED_BYTES:,} bytes")


def gunzip(payload: Any) -> bytearray:
    """Unpack gzip; raises `TooLarge`, or `zlib.error` for damaged data."""
    rest, unpacked = bytes(payload), bytearray()
    while rest:
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            room = MAX_UNPACKED_BYTES + 1 - len(unpacked)
            piece = member.decompress(rest, min(_GZIP_PIECE_BYTES, room))
            rest = member.unconsumed_tail
            if not (piece or rest or member.eof):
                raise zlib.error("the compressed data ends too early")
            unpacked += piece
            if len(unpacked) > MAX_UNPACKED_BYTES:
                raise TooLarge(unpacked)
        rest = member.unused_data
    return unpacked


def unzstd(payload: Any) -> bytearray:
    """Unpack Zstandard; raises `TooLarge`, or `DecompressionError` for damaged data."""
    return _unpack_into_buffer(cramjam.zstd, bytes(payload))


def unlz4(payload: Any) -> bytearray:
    """Unpack LZ4 frames; raises as `unzstd` does."""
    return _unpack_into_buffer(cramjam.lz4, bytes(payload))


def unsnappy(payload: Any) -> bytearray:
    """Unpack Snappy, raw or in the blocks of Java's library; raises as `unzstd` does."""
    raw, unpacked = bytes(payload), bytearray()
    if not raw.startswith(_XERIAL_MAGIC):
        _add_snappy_block(unpacked, raw)
        return unpacked
    pos = len(_XERIAL_MAGIC) + 8
    while pos < len(raw):
        length = int.from_bytes(raw[pos : pos + 4], "big")
        pos += 4
        _add_snappy_block(unpacked, raw[pos : pos + length])
        pos += length
    return unpacked


def _add_snappy_block(unpacked: bytearray, block: bytes) -> None:
    size = int(cramjam.snappy.decompress_raw_len(block))
    if len(unpacked) + size > MAX_UNPACKED_BYTES:
        raise TooLarge(unpacked)
    start = len(unpacked)
    unpacked += bytes(size)
    with memoryview(unpacked)[start:] as rest:
        used = cramjam.snappy.decompress_raw_into(block, rest)
    del unpacked[start + used :]


def _unpack_into_buffer(codec: Any, payload: bytes) -> bytearray:
    size = max(64 << 10, _EXPECTED_RATIO * len(payload))
    while True:
        unpacked = bytearray(min(size, MAX_UNPACKED_BYTES + 1))
        try:
            used = codec.decompress_into(payload, unpacked)
        except cramjam.DecompressionError as exc:
            if "whole buffer" not in str(exc):  # only a full buffer has this message
                raise
            if len(unpacked) > MAX_UNPACKED_BYTES:
                raise TooLarge(unpacked) from exc
            size = _EXPECTED_RATIO * len(unpacked)
            del unpacked
        else:
            if used > MAX_UNPACKED_BYTES:
                raise TooLarge(unpacked)
            del unpacked[used:]
            return unpacked
