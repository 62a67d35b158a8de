"""Policies that are none in any schema, as the operator is told of them."""

from __future__ import annotations

from typing import Final

from fraudapp.control import metrics
from models.characters import legible
from models.control.chain import Candidate

MAX_TOLD: Final = 10
"""Policies that are told of: the last ones."""
_MAX_WHY: Final = 300


class Refusals:
    """Policies that were refused since the last one that came in force."""

    def __init__(self) -> None:
        self._sentences: list[str] = []

    def add(self, candidate: Candidate) -> None:
        """Count a policy that was refused, and note why."""
        metrics.refused.inc()
        author, why = candidate.proposed.author, candidate.why.split("\n", 1)[0]
        self._sentences.append(legible(f"a policy by {author} is none: {why[:_MAX_WHY]}"))
        del self._sentences[:-MAX_TOLD]

    def clear(self) -> None:
        """Forget all notes."""
        self._sentences.clear()

    def sentences(self) -> list[str]:
        """Return a sentence for each, the last one last."""
        return [*self._sentences]
