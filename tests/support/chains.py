"""Chains of policies, and the one model that their policies may be for."""

from __future__ import annotations

from fraudapp.control.model_shelf import Models
from models.control.chain import Candidate, Chain
from models.control.records import Proposed


def chain_of(*texts: str) -> Chain:
    """Policies that were proposed one after the other."""
    chain = Chain()
    for number, text in enumerate(texts):
        proposed = Proposed(parent=chain.head, text=text, author="ann")
        assert chain.propose(Candidate(f"{number:032x}", proposed, number, 0))
    return chain


class OneModel(Models):
    """A model by its version alone."""

    def __init__(self, version: str) -> None:
        self._version = version

    def problem(self, version: str | None) -> str | None:
        """See `Models.problem`."""
        if version in (None, self._version):
            return None
        return f"it is for model {version}, and {self._version} serves here"
