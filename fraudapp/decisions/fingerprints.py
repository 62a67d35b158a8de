"""Fingerprints of decisions, which tell whether a log is still the one that was read.

A broker that was restored, or that elected an unclean leader, may have lost the end of a log.
Other records may have got the same offsets since. The offset alone does not show this.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from fraudapp.kafka.last_records import DIGEST_BYTES, digest_of

_OFFSET_BYTES: Final = 8


class Fingerprint(NamedTuple):
    """The offset, id and hash of a decision in the log."""

    offset: int
    transaction_id: str
    digest: bytes
    """Hash of its JSON. A transaction that is decided again gets another `decided_at`, and so
    another digest."""

    def packed(self) -> bytes:
        """Return the fingerprint as bytes, for `unpacked`."""
        offset = self.offset.to_bytes(_OFFSET_BYTES, "big")
        return offset + self.digest + self.transaction_id.encode()


def fingerprint_of(offset: int, transaction_id: str, encoded: bytes) -> Fingerprint:
    """Return the fingerprint of a decision whose JSON is `encoded`."""
    return Fingerprint(offset, transaction_id, digest_of(encoded))


def unpacked(packed: bytes) -> Fingerprint:
    """Return the fingerprint that was `packed`; raises `ValueError` if there are too few bytes."""
    begin = _OFFSET_BYTES + DIGEST_BYTES
    if len(packed) <= begin:
        raise ValueError(f"a fingerprint of {len(packed)} bytes")
    offset = int.from_bytes(packed[:_OFFSET_BYTES], "big")
    return Fingerprint(offset, packed[begin:].decode(), packed[_OFFSET_BYTES:begin])
