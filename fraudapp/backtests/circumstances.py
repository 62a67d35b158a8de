"""What a decision was made with, by the version that it names: lists and caps."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from fraudapp.backtests.candidate import Candidate
from fraudapp.control.fitting import ruling_of
from models.control.timeline import Timeline
from models.control.versions import Version
from models.policies.reading import PolicyError
from models.policies.ruling import NO_CAPS, Begun
from models.schema.schema import Schema


class Circumstances(NamedTuple):
    """Decisions with equal ones can be ruled together."""

    offset: int | None = None
    """Of the control log: lists are by all records before it; None for all records."""
    latest: frozenset[str] = frozenset()
    """Lists that are by all records, since the policy that decided did not look into them."""
    caps: Begun = NO_CAPS


class Versions(dict[str, Circumstances]):
    """Circumstances by the version of a decision's policy, worked out once for each.

    A version tells of the lists that its own policy looks into. Other lists that the candidate
    looks into are as they are now: they may have been filled for it. So are all lists for a
    decision by thresholds of the settings, which tell of none.
    """

    def __init__(self, candidate: Candidate, timeline: Timeline | None, schema: Schema) -> None:
        super().__init__()
        self.unknown: set[str] = set()
        """Numbers of policies that the control log does not have, or that do not fit any more."""
        self.latest: set[str] = set()
        """Lists that were taken as they are now, for some decisions at least."""
        self._candidate = candidate
        self._timeline = timeline
        self._schema = schema
        self._lists = frozenset(candidate.ruling.lists)
        self._looked_into: dict[int, frozenset[str]] = {}

    def __missing__(self, text: str) -> Circumstances:
        version = Version.of(text)
        found = self[text] = self._of(version) if self._timeline else Circumstances()
        if self._timeline:
            self.latest |= self._lists if found.offset is None else found.latest
        return found

    def _of(self, version: Version | None) -> Circumstances:
        if version is None:
            return Circumstances()
        latest = self._lists - self._lists_of(version.number)
        if latest == self._lists:  # none of them is as of the offset: the same for each version
            return Circumstances(None, frozenset(), self._caps(version))
        return Circumstances(version.offset, latest, self._caps(version))

    def _caps(self, version: Version) -> Begun:
        if self._timeline is None or version.number != self._candidate.number:
            return NO_CAPS
        member = self._timeline.chain.member(version.number)
        return self._timeline.caps(member.id, version.offset) if member else NO_CAPS

    def _lists_of(self, number: int) -> frozenset[str]:
        """Return the lists that a policy looks into; all of the candidate's if it is not known."""
        if number not in self._looked_into:
            self._looked_into[number] = self._read_lists_of(number)
        return self._looked_into[number]

    def _read_lists_of(self, number: int) -> frozenset[str]:
        member = self._timeline.chain.member(number) if self._timeline else None
        if member:
            with suppress(PolicyError):
                return frozenset(ruling_of(member, self._schema).lists)
        self.unknown.add(str(number))
        return self._lists
