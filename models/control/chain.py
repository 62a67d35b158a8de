"""The chain of policies: each comes in the place of its parent, or never.

So of two that are proposed in the place of the same one, all readers take the first in the log.
Nothing but parents and approvals decides it, and no text of a policy: what a text may be differs
from one version of the program to the next, and the numbers of the chain must not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from models.control.records import ROOT, Approved, Proposed

MAX_OUTSIDE: Final = 1_000
"""Policies not in the chain that are remembered, and so may still be approved: the last ones."""
MAX_OUTSIDE_CHARACTERS: Final = 64 << 20
"""Of their texts together."""

Fate = Literal["in the chain", "waits for approval", "too late"]


@dataclass
class Candidate:
    """A policy that was proposed, and what became of it."""

    id: str
    proposed: Proposed
    offset: int
    written_at: int
    """Milliseconds since 1970, by the broker's clock."""
    fate: Fate = "waits for approval"
    number: int = 0
    """Its place in the chain, from 1; 0 while it has none."""
    why: str = ""
    """Why it is not in the chain."""
    approved: Approved | None = None


class Chain:
    """All that was proposed, in the order of the log; see `MAX_OUTSIDE`."""

    def __init__(self) -> None:
        self.members: list[Candidate] = []
        """The policies that came in force, one after the other."""
        self._all: dict[str, Candidate] = {}
        self._outside: dict[str, int] = {}  # by id, characters of those that are not in the chain
        self._outside_characters = 0

    @property
    def head(self) -> str:
        """The id of the last policy in the chain: the parent of the next; `ROOT` without any."""
        return self.members[-1].id if self.members else ROOT

    @property
    def candidates(self) -> Mapping[str, Candidate]:
        """All that was proposed, by id, in the order of the log."""
        return self._all

    @property
    def _needs_approval(self) -> bool:
        """Whether the last policy was to be approved; then so are those after it.

        Else whoever does not ask for approval would do without. One that does not ask ends it, once
        it is approved.
        """
        return bool(self.members) and self.members[-1].proposed.needs_approval

    def member(self, number: int) -> Candidate | None:
        """Return the policy with this number, from 1; None if there is none."""
        return self.members[number - 1] if 0 < number <= len(self.members) else None

    def propose(self, candidate: Candidate) -> bool:
        """Add a policy; return whether it is now the head.

        A second one under an id changes nothing.
        """
        if candidate.id in self._all:
            return False
        self._all[candidate.id] = candidate
        if candidate.proposed.parent != self.head:
            self._be_late(candidate)
        elif candidate.proposed.needs_approval or self._needs_approval:
            candidate.why = "somebody else has to approve it"
        else:
            self._append(candidate)
            return True
        self._leave_outside(candidate)
        return False

    def approve(self, id_: str, approved: Approved) -> bool:
        """Approve a policy that waits for it; return whether it is now the head.

        Approvals of others, and by the author, change nothing.
        """
        candidate = self._all.get(id_)
        if candidate is None or candidate.fate != "waits for approval":
            return False
        if approved.author == candidate.proposed.author:
            return False
        candidate.approved = approved
        if candidate.proposed.parent != self.head:
            self._be_late(candidate)
            return False
        self._outside_characters -= self._outside.pop(id_)
        self._append(candidate)
        return True

    def _append(self, candidate: Candidate) -> None:
        self.members.append(candidate)
        candidate.fate, candidate.why, candidate.number = "in the chain", "", len(self.members)

    def _be_late(self, candidate: Candidate) -> None:
        known = self._all.get(candidate.proposed.parent)
        parent = f"version {known.number}" if known and known.number else "no version in force"
        now = f"version {len(self.members)}" if self.members else "none"
        candidate.fate = "too late"
        candidate.why = f"it was to take the place of {parent}, and {now} was in force"

    def _leave_outside(self, candidate: Candidate) -> None:
        """Remember a policy that is not in the chain, and forget the first ones if need be."""
        self._outside[candidate.id] = len(candidate.proposed.text)
        self._outside_characters += len(candidate.proposed.text)
        while len(self._outside) > MAX_OUTSIDE or self._outside_characters > MAX_OUTSIDE_CHARACTERS:
            first = next(iter(self._outside))
            self._outside_characters -= self._outside.pop(first)
            del self._all[first]
