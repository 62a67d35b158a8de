"""The JSON of decisions, encoded once for the decision log, the index and every sink."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import msgspec

from models.records import Decision

encode = msgspec.json.Encoder().encode
"""Return a decision as JSON: the same bytes in the log, the index and every sink.

`models.schema.schema.Schema.decode` reads them.
"""


class Batch:
    """Decisions that are appended or saved together.

    Their JSON is encoded when it is first asked for, and shared by all who use the batch.
    """

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self.decisions = decisions

    @classmethod
    def of(cls, batches: Sequence[Batch]) -> Batch:
        """Return several batches as one, without encoding a decision again."""
        if len(batches) == 1:
            return batches[0]
        joined = cls([decision for batch in batches for decision in batch.decisions])
        joined.keys = [key for batch in batches for key in batch.keys]
        joined.encoded = [encoded for batch in batches for encoded in batch.encoded]
        return joined

    @cached_property
    def keys(self) -> list[bytes]:
        """Record keys: the transaction ids as bytes, in the order of `decisions`."""
        return [decision.transaction_id.encode() for decision in self.decisions]

    @cached_property
    def encoded(self) -> list[bytes]:
        """Record values: the JSON of each decision, in the order of `decisions`."""
        return [encode(decision) for decision in self.decisions]

    @cached_property
    def size(self) -> int:
        """Total bytes of `encoded`."""
        return sum(map(len, self.encoded))
