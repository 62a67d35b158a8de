"""Rows to train on from decisions that were made, and from the labels that came later.

What was known of the accounts is what the decisions say, so that training sees what serving saw.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Final, NamedTuple

import numpy as np

from models.labels.records import Source, Value
from models.policies.exploring import is_of_model
from models.quality.cells import policy_name
from models.records import Decision, Outcome
from models.schema.definition import ID
from models.schema.schema import Schema
from models.training.columns import Column, column_of
from models.training.dataset import Labelled
from models.training.reading import identifying, needed

LEGITIMATE: Final = "no label, so legitimate"
YOUNG: Final = "too young for their labels to have come"
BLOCKED: Final = "blocked without a label: nobody knows what they were"
STOOD_FOR: Final = "blocked by the model, for which the control group stands already"
OTHER_SCHEMA: Final = "of another schema"
OTHER_PROFILES: Final = "with other values of profiles"
TWICE: Final = "with an id that was decided before"
LEAST_SHARE: Final = 2.0**-32
"""What is chosen at a smaller share for the control group has the hash 0, and is at this, too."""
_HOUR: Final = 3_600


class Told(NamedTuple):
    """What the labels on a transaction come to."""

    version: int
    label: Value
    source: Source


class FromDecisions:
    """Takes decisions in, chooses those that teach something, and counts all.

    A decision teaches if it is mature: labels have had the time to come, and one without any was
    legitimate. Without a label, a block says nothing: what does not go through is never disputed.
    Those of the control group stand for all that the model blocks under their policy, each for as
    many as its share says. So under that policy labelled blocks of the model are left out.
    """

    def __init__(self, schema: Schema, now: datetime, mature: timedelta) -> None:
        """Decisions are mature that are as old as `mature` at `now`."""
        self.counts: Counter[str] = Counter()
        """Rows by the source of their label."""
        self.frauds: Counter[str] = Counter()
        """The frauds among them."""
        self.skipped: Counter[str] = Counter()
        """Decisions that teach nothing, by the reason."""
        self.explored = 0
        """Rows of the control group."""
        self._schema = schema
        self._latest = now - mature
        self._convert = {
            name: column_of(schema.definition.fields[name])
            for name in needed(schema)
            if schema.definition.fields[name].role not in ("label", "weight")
        }
        self._get = attrgetter(*self._convert, ID, ID)  # two names at least: a tuple
        self._identify = {name: attrgetter(name) for name in identifying(schema)}
        self._exploring: set[str] = set()  # policies that have a control group
        self._blocked: list[tuple[Decision, Told]] = []  # by the model, and labelled
        self._columns: dict[str, list[Column]] = {}
        self._matrices: list[Any] = []

    def add(
        self, decisions: Sequence[Decision], told: Mapping[str, Told], is_new: Sequence[bool]
    ) -> None:
        """Add decisions; `told` has the labels by id, and `is_new` is false for repeated ids."""
        chosen: list[tuple[Decision, Told | None]] = []
        for decision, new in zip(decisions, is_new, strict=True):
            label = told.get(decision.transaction_id)
            if why := self._refused(decision, label, new):
                self.skipped[why] += 1
                continue
            if decision.explored:
                self.explored += 1
                self._exploring.add(policy_name(decision.policy_version))
            if label and is_of_model(decision):
                self._blocked.append((decision, label))
            else:
                chosen.append((decision, label))
        self._choose(chosen)

    def finish(self) -> None:
        """Choose among labelled blocks of the model; to be called once all decisions are added."""
        chosen: list[tuple[Decision, Told | None]] = []
        for decision, label in self._blocked:
            if policy_name(decision.policy_version) in self._exploring:
                self.skipped[STOOD_FOR] += 1
            else:
                chosen.append((decision, label))
        self._blocked.clear()
        self._choose(chosen)

    def _choose(self, chosen: Sequence[tuple[Decision, Told | None]]) -> None:
        for _, label in chosen:
            source = label.source.value if label else LEGITIMATE
            self.counts[source] += 1
            self.frauds[source] += bool(label and label.label)
        if chosen:
            fraud = [bool(label and label.label) for _, label in chosen]
            self._take([each for each, _ in chosen], fraud)

    @property
    def rows(self) -> int:
        """How many decisions were chosen."""
        return sum(self.counts.values())

    def labelled(self) -> Labelled:
        """Return the chosen rows, one at least, in the order of their decisions."""
        whole = {name: np.concatenate(parts) for name, parts in self._columns.items()}
        step, fraud, weight = whole.pop("\0step"), whole.pop("\0fraud"), whole.pop("\0weight")
        order = np.argsort(step, kind="stable")
        amount = self._schema.definition.role("amount")
        names = [name for _, name in self._schema.features.learned]
        found = Labelled(
            np.concatenate(self._matrices),
            fraud,
            weight,
            step,
            np.nan_to_num(whole[amount]) if amount else np.zeros(len(step)),
            None,
            {name: whole[name] for name in names},
        ).at(order)
        return found._replace(fields={name: each[order] for name, each in whole.items()})

    def _refused(self, decision: Decision, label: Told | None, is_new: bool) -> str | None:
        if not is_new:
            return TWICE
        if decision.schema_version != self._schema.version:
            return OTHER_SCHEMA
        if decision.profile_version != self._schema.profile_version:
            return OTHER_PROFILES
        if decision.decided_at > self._latest:
            return YOUNG
        if label is None and decision.decision is Outcome.BLOCK:
            return BLOCKED
        return None

    def _take(self, decisions: Sequence[Decision], fraud: Sequence[bool]) -> None:
        transactions = [each.transaction for each in decisions]
        self._matrices.append(self._schema.features.matrix(self._schema.facts(decisions)))
        made = dict(
            zip(self._convert, zip(*map(self._get, transactions), strict=True), strict=False)
        )
        parts: dict[str, Column] = {name: self._convert[name](each) for name, each in made.items()}
        for name, get in self._identify.items():
            parts[name] = np.array([hash(get(each)) for each in transactions], np.int64)
        parts["\0fraud"] = np.array(fraud, np.bool_)
        parts["\0step"] = np.array([_step(each.decided_at) for each in decisions], np.int64)
        shares = [max(each.explored, LEAST_SHARE) if each.explored else 1.0 for each in decisions]
        parts["\0weight"] = 1.0 / np.array(shares, np.float64)
        for name, part in parts.items():
            self._columns.setdefault(name, []).append(part)


def _step(moment: datetime) -> int:
    """Return the hour of a moment, as `models.training.dataset` counts them."""
    return int(moment.timestamp() // _HOUR) + 1
