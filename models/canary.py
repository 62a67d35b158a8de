"""A model in shadow that decides for a share of senders, before it decides for all."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

import numpy as np

from models.challenger import Challenger
from models.records import Reason
from models.schema.features import Matrix
from models.schema.schema import Schema
from models.scorer import Floats

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

    def score(self, facts: Sequence[Any]) -> tuple[Sequence[int], Matrix, Floats]:
        """Return the rows that it decides, with what it sees of them, and its scores.

        Those without a sender, and those that it has no score for, are none of them. The latter
        are counted where it is in shadow of the one that decides them.
        """
        version, share = self.challenger.version, self._share
        chosen = [
            row
            for row, sender in enumerate(map(self._sender, facts))
            if sender and is_chosen(sender, version, share)
        ]
        try:
            matrix = self.challenger.scorer.matrix([facts[row] for row in chosen])
        except Exception:
            return [], np.empty((0, 0), np.float32), np.empty(0)
        rows, scores, error = self.challenger.score(matrix)
        if error:
            return [chosen[row] for row in rows], matrix[rows], scores
        return chosen, matrix, scores

    def explain(self, facts: Sequence[Any], rows: Sequence[int]) -> list[list[Reason]]:
        """Return the reasons of some rows, none if it fails: the scores are as good without."""
        try:
            return self.challenger.scorer.explain(facts, rows)
        except Exception as exc:
            self.challenger.fail(len(rows), exc)
            return [[] for _ in rows]
