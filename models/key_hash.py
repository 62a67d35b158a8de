"""The key partition of a transaction id: the one that Kafka's default partitioner gives it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

_SEED: Final = np.uint32(0x9747B28C)
_M: Final = np.uint32(0x5BD1E995)
_WORD: Final = 4
_MAX_ONE_BY_ONE: Final = 12
"""Up to so many ids, hashing one by one is faster than the fixed cost of a numpy batch."""


def key_partitions(ids: Sequence[str], partitions: int) -> list[int]:
    """Return the partition of each id as a key, out of `partitions`.

    It is the murmur2 hash of Kafka's Java client (org.apache.kafka.common.utils.Utils.murmur2),
    which aiokafka and Faust use too. Large batches are hashed by numpy, which is much faster than
    one by one in Python.
    """
    keys = [each.encode() for each in ids]
    if len(keys) <= _MAX_ONE_BY_ONE:
        return [partition_of(key, partitions) for key in keys]
    lengths = np.fromiter(map(len, keys), np.uint32, len(keys))
    words = -(-int(lengths.max()) // _WORD) or 1
    padded = b"".join(key.ljust(words * _WORD, b"\0") for key in keys)
    blocks = np.frombuffer(padded, "<u4").reshape(len(keys), words)
    hashes = _murmur2_of_all(blocks, lengths)
    return ((hashes & np.uint32(0x7FFFFFFF)) % np.uint32(partitions)).tolist()  # type: ignore[no-any-return]


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of one key, whatever its bytes are."""
    return (_murmur2_of(key) & 0x7FFFFFFF) % partitions


def _murmur2_of_all(blocks: NDArray[np.uint32], lengths: NDArray[np.uint32]) -> NDArray[np.uint32]:
    whole, rest = lengths // _WORD, lengths % _WORD
    hashes: NDArray[np.uint32] = _SEED ^ lengths
    for column in range(blocks.shape[1]):
        block = blocks[:, column]
        mixed = block * _M
        mixed ^= mixed >> np.uint32(24)
        mixed *= _M
        # Zeros pad a key's last word, so that the word itself is the tail.
        tail = (hashes ^ block) * _M
        hashes = np.where(
            column < whole,
            (hashes * _M) ^ mixed,
            np.where((column == whole) & (rest > 0), tail, hashes),
        )
    hashes ^= hashes >> np.uint32(13)
    hashes *= _M
    hashes ^= hashes >> np.uint32(15)
    return hashes


def _murmur2_of(key: bytes) -> int:
    m, modulus = int(_M), 0xFFFFFFFF
    whole = len(key) & ~(_WORD - 1)
    hash_ = int(_SEED) ^ len(key)
    for start in range(0, whole, _WORD):
        block = int.from_bytes(key[start : start + _WORD], "little") * m & modulus
        block = (block ^ block >> 24) * m & modulus
        hash_ = (hash_ * m & modulus) ^ block
    if tail := key[whole:]:
        hash_ = (hash_ ^ int.from_bytes(tail, "little")) * m & modulus
    hash_ = (hash_ ^ hash_ >> 13) * m & modulus
    return hash_ ^ hash_ >> 15
