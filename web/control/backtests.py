"""Tries a policy on past decisions, and leaves most of the worker's time to new ones."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Container, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Final

from fraudapp.control.recent_decisions import recent
from fraudapp.settings import Settings
from fraudapp.worker import Started
from models.control.lists import Lists
from models.policies.backtest import Backtest
from models.policies.comparison import Comparison
from models.policies.ruling import Ruled, Ruling
from models.records import Decision
from models.schema.schema import Schema

SHARE: Final = 0.2
"""Of the time of the event loop; the rest is for decisions."""
_decided_at: Final = attrgetter("decided_at")


async def tried(settings: Settings, parts: Started, after: Ruling, count: int) -> Backtest:
    """Return what a policy would have changed in the last decisions; raises `KafkaError`.

    They keep their scores. Lists are as they are now, without entries that expired before the
    decision.
    """
    schema, comparison = settings.transaction_schema, Comparison(after)
    label, found = schema.of_role("label"), comparison.found
    async with aclosing(recent(settings, count)) as read:
        async for decisions in read:
            times = [each.decided_at for each in decisions]
            found.first = min(found.first or times[0], *times)
            found.last = max(found.last or times[0], *times)
            began = time.perf_counter()
            comparison.add(
                [each.decision for each in decisions],
                _ruled(decisions, parts, after, schema),
                [schema.amount(each.transaction) or 0.0 for each in decisions],
                [bool(label(each.transaction)) for each in decisions],
            )
            await asyncio.sleep((time.perf_counter() - began) * (1 / SHARE - 1))
    return comparison.result()


def _ruled(
    decisions: Sequence[Decision], parts: Started, after: Ruling, schema: Schema
) -> list[Ruled]:
    transactions = schema.facts(decisions)
    scores = [each.score for each in decisions]
    matrix = parts.serving.matrix(transactions) if after.uses_features else None
    found: list[Ruled] = []
    for now, group in groupby(decisions, _decided_at):
        rows = slice(len(found), len(found) + sum(1 for _ in group))
        found += after.rule(
            transactions[rows],
            scores[rows],
            None if matrix is None else matrix[rows],
            lists=_at(parts.control.known.lists, now),
            now=now,
        )
    return found


@dataclass(frozen=True)
class _Entries:
    """The entries of a list at a moment, while decisions are made by those of now."""

    lists: Lists
    name: str
    now: datetime

    def __contains__(self, value: object) -> bool:
        return isinstance(value, str) and self.lists.holds(self.name, value, self.now)


def _at(lists: Lists, now: datetime) -> Mapping[str, Container[str]]:
    return {name: _Entries(lists, name, now) for name in lists.sizes()}
