"""Cells of labels: frauds and legitimate ones, under the keys of the cells of decisions.

They are a function of the effective label of each transaction, in whatever order these came: one
that is labelled anew moves from one count to the other.
"""

from __future__ import annotations

import re
from math import isfinite, nan
from typing import Final, Literal, NamedTuple

from msgspec import Struct

from models.activity import OUTCOMES
from models.counts import Count
from models.quality.cells import MILLION, OTHERS, policy_name
from models.quality.weeks import week_of
from models.records import Decision
from models.schema.fields import UNIT, unit
from models.schema.schema import Schema

Label = Literal[0, 1]
_CURRENCY: Final = re.compile("[A-Z]{3}")
_LEAST_SHARE: Final = 2.0**-32
"""What is chosen at a smaller share has the hash 0, and is chosen at this one as well."""


class About(NamedTuple):
    """What the cells of labels take of a decision."""

    week: int
    model: str
    policy: str
    place: int
    """Of its outcome in `OUTCOMES`."""
    rules: tuple[str, ...]
    """Those that hit."""
    amount: int | None
    """In smallest units; None if it is not known."""
    currency: str
    """Its code of three letters, or `OTHERS`; empty if amounts have none."""
    explored: float


class LabelledCell(Struct, array_like=True):
    """The labelled decisions of one outcome."""

    frauds: Count = 0
    legitimate: Count = 0
    explored_frauds: Count = 0
    explored_legitimate: Count = 0
    weight: Count = 0
    """How many of the model's blocks the explored frauds stand for, in millionths."""
    amounts: dict[str, int] = {}
    """Sum of the amounts of frauds in smallest units, by currency; see `About`. A schema may allow
    amounts below zero."""


class LabelledRule(Struct, array_like=True):
    """The labelled decisions that a rule has hit."""

    frauds: Count = 0
    legitimate: Count = 0


class LabelledWeek(Struct):
    """The labelled decisions of one week and partition."""

    versions: dict[str, dict[str, list[LabelledCell]]] = {}
    """Cells in the order of `OUTCOMES`, by model version, then by the name of the policy."""
    rules: dict[str, LabelledRule] = {}

    def move(self, about: About, before: Label | None, label: Label) -> None:
        """Count a decision under its label, and no longer under the one it had, if it had one."""
        if before == label:
            return
        if before is not None:
            self._add(about, before, -1)
        self._add(about, label, 1)

    def _add(self, about: About, label: Label, one: int) -> None:
        policies = self.versions.setdefault(about.model, {})
        cells = policies.setdefault(about.policy, [LabelledCell() for _ in OUTCOMES])
        _count(cells[about.place], about, label, one)
        for rule in about.rules:
            counted = self.rules.setdefault(rule, LabelledRule())
            if label:
                counted.frauds += one
            else:
                counted.legitimate += one


def about(decision: Decision, schema: Schema) -> About:
    """Return what counts of a decision; `schema` is that of the worker."""
    transaction = decision.transaction
    amount = schema.amount(transaction)
    units = nan if amount is None else amount / unit_of(schema)
    return About(
        week_of(decision.decided_at)[0],
        decision.model_version,
        policy_name(decision.policy_version),
        OUTCOMES.index(decision.decision),
        tuple(decision.hits),
        round(units) if isfinite(units) else None,
        _code(schema.currency(transaction)),
        decision.explored,
    )


def unit_of(schema: Schema) -> float:
    """Return the smallest unit of amounts; if they have no amounts, that of those that have."""
    name = schema.definition.role("amount")
    return unit(schema.definition.fields[name]) if name else UNIT


def _code(currency: str | None) -> str:
    if not currency:
        return ""
    return currency if _CURRENCY.fullmatch(currency) else OTHERS


def _count(cell: LabelledCell, about: About, label: Label, one: int) -> None:
    if not label:
        cell.legitimate += one
        cell.explored_legitimate += one if about.explored else 0
        return
    cell.frauds += one
    if about.explored:
        cell.explored_frauds += one
        cell.weight += one * round(MILLION / max(about.explored, _LEAST_SHARE))
    if about.amount is not None:
        amount = cell.amounts.pop(about.currency, 0) + one * about.amount
        if amount:
            cell.amounts[about.currency] = amount
