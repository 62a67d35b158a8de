"""Inputs: records of the transactions topic, their positions, and why some are rejected."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from msgspec import Struct

from models.records import Transaction

_ENCODED: Final = re.compile(rb"(?P<topic>.+)/(?P<partition>\d{1,9})/(?P<offset>\d{1,18})")


# Structs instead of named tuples: they are much faster to make, and each input has three.
class Position(Struct, frozen=True, gc=False):
    """The position of a record in Kafka."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    def encode(self) -> bytes:
        """Encode the position for the header of a rerouted record; `decode` reads it."""
        return str(self).encode()

    @classmethod
    def decode(cls, encoded: bytes | None) -> Position | None:
        """Return the position that `encode` wrote; None for any other bytes."""
        match = _ENCODED.fullmatch(encoded or b"")
        if match is None:
            return None
        topic = match["topic"].decode(errors="replace")
        found = cls(topic, int(match["partition"]), int(match["offset"]))
        return found if found.encode() == encoded else None


class Input(Struct, frozen=True, gc=False):
    """One record as it was read."""

    key: bytes | None
    raw: bytes | None
    position: Position
    """Position where this worker read the record."""
    origin: Position
    """Position where the producer wrote it; differs from `position` if the input was rerouted."""
    lost: tuple[tuple[str, bytes], ...] = ()
    """Headers with size and hash of the original, if `key` or `raw` is only a part of it."""


class ValidInput(Struct, frozen=True, gc=False):
    """An input that holds a valid transaction."""

    transaction: Transaction
    input: Input


Cause = Literal["invalid", "conflict", "refused", "unscored", "unknown-transaction"]
"""Why an input is a dead letter."""


class Rejection(NamedTuple):
    """An input that ends as a dead letter."""

    input: Input
    reason: Cause
    detail: str
