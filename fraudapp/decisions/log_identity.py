"""The identity of a log, so that an index on disk is not used for another log."""

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
    """Id that the broker gave the topic; "" where the broker has no topic ids."""

    def is_same(self, other: LogIdentity) -> bool:
        """Whether both can be the same log.

        Topics of one name count as the same unless both topic ids are known and differ.
        """
        return (self.application, self.topic, self.partition) == (
            other.application,
            other.topic,
            other.partition,
        ) and same(self.topic_id, other.topic_id)

    def packed(self) -> bytes:
        """Return the identity as bytes, for `unpacked`."""
        return json.encode(self)

    def __str__(self) -> str:
        topic_id = f" with id {self.topic_id}" if self.topic_id else ""
        return f"{self.topic}/{self.partition}{topic_id} of application {self.application}"


unpacked: Final = json.Decoder(LogIdentity).decode
"""Return the identity that was `packed`; raises `msgspec.DecodeError` for other bytes."""
