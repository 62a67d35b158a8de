"""By which a decision is known again at its offset: whether a log is still the one it was.

A broker that was restored, or has elected an unclean leader, may have lost the end of a log, and
have filled the same offsets with other records since. An offset alone does not tell.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, NamedTuple

_OFFSET_BYTES: Final = 8
DIGEST_BYTES: Final = 8


class Fingerprint(NamedTuple):
    """A decision at its offset in the log."""

    offset: int
    transaction_id: str
    digest: bytes
    """Of its JSON: decided again, it has another `decided_at`."""

    def packed(self) -> bytes:
        """Return it as bytes, for `unpacked`."""
        offset = self.offset.to_bytes(_OFFSET_BYTES, "big")
        return offset + self.digest + self.transaction_id.encode()


def fingerprint_of(offset: int, transaction_id: str, encoded: bytes) -> Fingerprint:
    """Return the fingerprint of a decision."""
    return Fingerprint(offset, transaction_id, digest_of(encoded))


def digest_of(encoded: bytes) -> bytes:
    """Return the digest of a decision's JSON."""
    return blake2b(encoded, digest_size=DIGEST_BYTES).digest()


def unpacked(packed: bytes) -> Fingerprint:
    """Return the fingerprint that was `packed`; raises `ValueError` for anything shorter."""
    begin = _OFFSET_BYTES + DIGEST_BYTES
    if len(packed) <= begin:
        raise ValueError(f"a fingerprint of {len(packed)} bytes")
    offset = int.from_bytes(packed[:_OFFSET_BYTES], "big")
    return Fingerprint(offset, packed[begin:].decode(), packed[_OFFSET_BYTES:begin])
