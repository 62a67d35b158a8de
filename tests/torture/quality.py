"""Recounts how good decisions were, from the topics, and compares what each worker tells."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from tests.support.quality import cells_as_told, monday, rules_as_told, told
from tests.torture.comparing import Found
from tests.torture.plans import moment
from tests.torture.reading import Record

MAX_VERSIONS: Final = 24
"""Pairs of a model and a policy of a week that each partition keeps apart."""
MAX_WEEKS: Final = 13
OTHERS: Final = "(others)"
_Key = tuple[str, str, str, str]
"""Week, model, policy and outcome."""


class Recount:
    """Cells by week, model, policy and outcome, and rules by week, as `told` returns them."""

    def __init__(
        self,
        decisions: Iterable[Record],
        joined: Mapping[str, Mapping[str, Any]],
        *,
        now: datetime,
        unsure: Iterable[str] = (),
    ) -> None:
        """`decisions` are those of workers in the order of their topic, `joined` the labels.

        Weeks of ids that are `unsure` are not compared.
        """
        self._cells: defaultdict[_Key, Counter[str]] = defaultdict(Counter)
        self._rules: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        versions: defaultdict[tuple[int, str], dict[tuple[str, str], None]] = defaultdict(dict)
        doubtful, seen, here = {*unsure}, set[str](), monday(now)
        self.doubtful: set[str] = set()
        """Weeks that are not compared."""
        for record in decisions:
            each = json.loads(record.value or b"")
            id_, week = each["transaction_id"], monday(moment(each["decided_at"]))
            if id_ in seen:
                continue
            seen.add(id_)
            known = versions[record.partition, week]
            version = each["model_version"], each["policy_version"].partition("+")[0]
            if version not in known and len(known) >= MAX_VERSIONS:
                version = OTHERS, OTHERS
            known[version] = None
            if week > here:
                continue  # it has not come yet
            if id_ in doubtful:
                self.doubtful.add(week)
            label = joined[id_]["label"] if id_ in joined else None
            self._count(each, label, (week, *version, each["decision"]))

    def _count(self, decision: Mapping[str, Any], label: int | None, key: _Key) -> None:
        cell = self._cells[key]
        for one in (cell, *(self._rules[key[0], rule] for rule in decision.get("hits", []))):
            one["rows"] += 1
            if label is not None:
                one["frauds" if label else "legitimate"] += 1
        cell["score"] += round(decision["score"] * 1_000_000)
        cell["explored"] += "explored" in decision
        if label:
            cell["amount"] += round(decision["transaction"]["amount"] / 0.01)

    def compare(self, name: str, answer: Mapping[str, Any] | None, found: Found) -> None:
        """A worker's answer is this; None if it gave none."""
        if answer is None:
            found.miscounted.append(f"{name} tells no quality")
            return
        known = told(answer)
        wanted = {"cells": self.cells(), "rules": self.rules()}
        for kind, cells in wanted.items():
            there = known[kind]
            for key in there.keys() | cells.keys():
                if key[0] in self.doubtful:
                    continue
                if there.get(key) != cells.get(key):
                    found.miscounted.append(
                        f"{name} tells {there.get(key)} of {key}, expected {cells.get(key)}"
                    )

    def cells(self) -> dict[Any, dict[str, Any]]:
        """Cells as `told` returns them."""
        return cells_as_told(self._cells)

    def rules(self) -> dict[Any, dict[str, Any]]:
        """Rules as `told` returns them."""
        return rules_as_told(self._rules)
