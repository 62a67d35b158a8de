"""Decisions as JSON, in the one form that the log, the index and every sink have."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import msgspec

from models.records import Decision

encode = msgspec.json.Encoder().encode
"""A decision as JSON, in the one form it has everywhere."""

decode = msgspec.json.Decoder(Decision).decode
"""The decision such JSON holds; raises `msgspec.DecodeError` for anything else."""


class Batch:
    """Decisions that are kept together; written as JSON once, whoever asks."""

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self.decisions = decisions

    @classmethod
    def of(cls, batches: Sequence[Batch]) -> Batch:
        """Return several as one, without writing anything again."""
        if len(batches) == 1:
            return batches[0]
        whole = cls([decision for batch in batches for decision in batch.decisions])
        whole.keys = [key for batch in batches for key in batch.keys]
        whole.encoded = [encoded for batch in batches for encoded in batch.encoded]
        return whole

    @cached_property
    def keys(self) -> list[bytes]:
        """Transaction id of each decision as bytes, in step with `decisions`."""
        return [decision.transaction_id.encode() for decision in self.decisions]

    @cached_property
    def encoded(self) -> list[bytes]:
        """JSON of each decision, in step with `decisions`."""
        return [encode(decision) for decision in self.decisions]

    @cached_property
    def size(self) -> int:
        """Bytes of `encoded`."""
        return sum(map(len, self.encoded))
