"""Puts decisions together for which rules, lists and features are the same."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Final, TypeVar

from fraudapp.backtests.circumstances import Circumstances, Versions
from models.policies.definition import PolicyFile
from models.records import Decision

K = TypeVar("K", bound=Hashable)

_policy_version: Final[Callable[[Decision], str]] = attrgetter("policy_version")


def ends_of(policy: PolicyFile) -> Iterator[datetime]:
    """Yield the moments at which rules and lists of a policy end."""
    yield from (each.expires_at for each in policy.rules if each.expires_at)
    yield from (each.expires_at for each in policy.lists.values() if each.expires_at)


class Alike:
    """Divides decisions into groups of one ruling each, at the moment of any of the group."""

    def __init__(self, versions: Versions, ends: Iterable[datetime], *, by_model: bool) -> None:
        """`ends` are all moments at which anything ends; `by_model` keeps models apart."""
        self._versions = versions
        self._ends = sorted(ends)
        self._by_model = by_model

    def groups(
        self, rows: Sequence[Decision], first: datetime, last: datetime
    ) -> Iterator[tuple[Circumstances, list[Decision]]]:
        """Yield groups of decisions made from `first` to `last`, in the order of the control log.

        So a timeline is moved as little as can be.
        """
        alike: defaultdict[Circumstances, list[Decision]] = defaultdict(list)
        for text, made in _by(rows, _policy_version).items():
            alike[self._versions[text]] += made
        is_divided = bisect_right(self._ends, first) != bisect_right(self._ends, last)
        for circumstances in sorted(alike, key=lambda each: each.offset or 0):
            made = alike[circumstances]
            divided = [*_by(made, self._key).values()] if is_divided or self._by_model else [made]
            for together in divided:
                yield circumstances, together

    def _key(self, decision: Decision) -> tuple[int, str]:
        model = decision.model_version if self._by_model else ""
        return bisect_right(self._ends, decision.decided_at), model


def _by(rows: Sequence[Decision], key: Callable[[Decision], K]) -> dict[K, list[Decision]]:
    keys = [*map(key, rows)]
    if len(distinct := set(keys)) == 1:
        return {distinct.pop(): [*rows]}
    found: defaultdict[K, list[Decision]] = defaultdict(list)
    for each, place in zip(rows, keys, strict=True):
        found[place].append(each)
    return found
