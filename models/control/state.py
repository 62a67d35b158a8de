"""What the control log says up to an offset."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from enum import Enum
from typing import cast

from models.canary import Canary
from models.challenger import Challenger
from models.control.caps import Caps
from models.control.chain import Candidate, Chain
from models.control.lists import Lists
from models.control.records import (
    Approved,
    CapKey,
    Capped,
    ControlRecord,
    Listed,
    ListKey,
    ModelKey,
    PolicyKey,
    Proposed,
    Published,
    Removed,
)
from models.control.versions import Version
from models.policies.in_force import InForce
from models.policies.ruling import Ruling
from models.scorer import BatchScorer


class Change(Enum):
    """What a record has changed."""

    NOTHING = "nothing"
    LISTS = "lists"
    POLICY = "policy"
    CAPS = "caps"
    MODEL = "model"


class ControlState:
    """The chain of policies with their caps, the entries of lists, and models.

    Whether a policy is one, and fits the schema of a worker, has no part in it. So workers agree on
    the chain while the program or the schema changes from one to the other.
    """

    def __init__(self) -> None:
        self.chain = Chain()
        self.lists = Lists()
        self.caps: defaultdict[str, Caps] = defaultdict(Caps)
        """By the id of a policy."""
        self.models: dict[str, Published] = {}
        """By version; of several under one, the first counts."""
        self.next_offset = 0
        """Of the control log: all records before it are in here."""

    def apply(self, record: ControlRecord) -> Change:
        """Take the next record of the log in; one that is in here already changes nothing."""
        if record.offset < self.next_offset:
            return Change.NOTHING
        self.next_offset = record.offset + 1
        value = record.value
        match record.key:
            case ListKey(name=name, value=entry):
                if isinstance(value, Removed):
                    self.lists.remove(name, entry, record.offset)
                else:
                    self.lists.add(name, entry, cast(Listed, value).expires_at, record.offset)
                return Change.LISTS
            case CapKey(policy=policy) as key:
                known = self.chain.candidates.get(policy)
                if known is None or not known.number:
                    return Change.NOTHING
                changed = self.caps[policy].apply(
                    key, cast(Capped, value), record.offset, record.written_at
                )
                return Change.CAPS if changed else Change.NOTHING
            case ModelKey(version=model):
                if model in self.models:
                    return Change.NOTHING
                self.models[model] = cast(Published, value)
                return Change.MODEL
            case PolicyKey(id=id_):
                if isinstance(value, Approved):
                    changed = self.chain.approve(id_, value)
                else:
                    proposed = cast(Proposed, value)
                    candidate = Candidate(id_, proposed, record.offset, record.written_at)
                    changed = self.chain.propose(candidate)
                return Change.POLICY if changed else Change.NOTHING

    def in_force(
        self,
        candidate: Candidate,
        ruling: Ruling,
        scorer: BatchScorer | None = None,
        challengers: Sequence[Challenger] = (),
        canary: Canary | None = None,
    ) -> InForce:
        """Return what decides with a policy of the chain, named by all that it decides with.

        `scorer` is that of the model that the policy names, if it names one, and `challengers` are
        the models in its shadow, of which the `canary` decides for some.

        Its lists change in place; caps and name are as of the records that are in here now.
        """
        caps = self.caps[candidate.id]
        offset = max(self.lists.next_offset(ruling.lists), caps.next_offset)
        version = str(Version(candidate.number, offset))
        decides = scorer, challengers, canary
        return InForce(ruling, version, self.lists.at, caps.in_force, *decides)
