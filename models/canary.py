"""A model in shadow that decides for a share of senders, before it decides for all."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from models.challenger import Challenger
from models.records import Transaction
from models.schema.schema import Schema

_BYTES: Final = 6
"""Of a hash: as many as a float has room for, so that a share of 1 is all."""


def is_chosen(sender: str, version: str, share: float) -> bool:
    """Whether a model decides for a sender, at a share of 0..1.

    It depends on nothing else, so every worker chooses alike, and a decision can be recomputed.
    Who is chosen at one share is chosen at every larger one; another model begins with others.
    """
    hashed = blake2b(f"{version}/{sender}".encode(), digest_size=_BYTES).digest()
    return int.from_bytes(hashed, "big") / 256**_BYTES < share


class Canary:
    """The model that decides for some senders, and the one that decides for all others."""

    def __init__(
        self, challenger: Challenger, champion: Challenger, share: float, schema: Schema
    ) -> None:
        """`schema` has a sender; for those that the canary decides, the `champion` is in shadow."""
        self.challenger = challenger
        self.champion = champion
        self._share = share
        self._sender = schema.of_role("sender")

    def rows(self, transactions: Sequence[Transaction]) -> list[int]:
        """Return the transactions that it decides; those without a sender are none of them."""
        version, share = self.challenger.version, self._share
        senders = map(self._sender, transactions)
        return [
            row
            for row, sender in enumerate(senders)
            if sender.__class__ is str and sender and is_chosen(sender, version, share)
        ]
