"""Of which log something on disk is a copy."""

from __future__ import annotations

from typing import Final

from msgspec import Struct, json

from fraudapp.kafka.topic_ids import same


class LogIdentity(Struct, frozen=True):
    """A partition of the decision log, and the application whose log it is."""

    application: str
    topic: str
    partition: int
    topic_id: str = ""
    """"" where the broker has no ids."""

    def is_same(self, other: LogIdentity) -> bool:
        """Whether it can be the same log."""
        return (self.application, self.topic, self.partition) == (
            other.application,
            other.topic,
            other.partition,
        ) and same(self.topic_id, other.topic_id)

    def packed(self) -> bytes:
        """Return it as bytes, for `unpacked`."""
        return json.encode(self)

    def __str__(self) -> str:
        known = f" with id {self.topic_id}" if self.topic_id else ""
        return f"{self.topic}/{self.partition}{known} of application {self.application}"


unpacked: Final = json.Decoder(LogIdentity).decode
"""Return the identity that was packed; raises `msgspec.DecodeError` for anything else."""
