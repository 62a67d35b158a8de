"""Reasons in words, made from the contributions of features.

Features about one fact form one group, as those do that compare an amount with a balance. A group
makes one reason, whose contribution is the sum over the group, so that reasons add up as
contributions do. What raises the risk comes before what lowers it, each with the strongest first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.records import Reason
from models.schema import templates
from models.schema.definition import Definition, Says, operation
from models.schema.definition import Reason as Group

Floats = NDArray[np.float64]


class Weighed(Reason, frozen=True):
    """A reason with the values that it is made of."""

    values: dict[str, Any]
    """The fields and values of profiles that its features look at, by name; null is unknown."""


class _Sentence(NamedTuple):
    """A sentence of a group; `feature` is the column that has to be 1, None for any row."""

    feature: int | None
    code: Callable[[Any], str]
    text: Callable[[Any], str]
    against: Callable[[Any], str]


class Reasons:
    """The reasons of a schema; immutable."""

    def __init__(self, definition: Definition) -> None:
        names = list(definition.features)
        groups = definition.reasons or [_by_itself(name, definition) for name in names]
        self._groups = [
            [
                _Sentence(
                    None if each.when is None else names.index(each.when),
                    templates.compiled(each.code, definition),
                    templates.compiled(each.text, definition),
                    templates.compiled(each.against or each.text, definition),
                )
                for each in group.says
            ]
            for group in groups
        ]
        self._membership = np.array(
            [[float(name in group.features) for group in groups] for name in names]
        )
        self._fields = [
            list(
                dict.fromkeys(
                    field for name in group.features for field in _looked_at(name, definition)
                )
            )
            for group in groups
        ]

    def grouped(self, contributions: Floats) -> Floats:
        """Sum the contributions of features, (n, features), into those of groups, (n, groups)."""
        sums: Floats = contributions @ self._membership
        return sums

    def strongest(
        self,
        transaction: Any,
        features: Sequence[float],
        contributions: Sequence[float],
        most: int = 3,
    ) -> list[Reason]:
        """Return up to `most` reasons: those that raise the risk, then those that lower it.

        Of each kind the strongest comes first. `features` is the row of the matrix, and
        `contributions` has one number for each group; groups that contribute 0 make no reason.
        """
        return [
            Reason(*self._said(place, transaction, features, contributions[place]))
            for place in _ranked(contributions)[:most]
        ]

    def weighed(
        self, transaction: Any, features: Sequence[float], contributions: Sequence[float]
    ) -> list[Weighed]:
        """Return all reasons in the order of `strongest`, with the values that they are made of."""
        return [
            Weighed(
                *self._said(place, transaction, features, contributions[place]),
                {field: getattr(transaction, field) for field in self._fields[place]},
            )
            for place in _ranked(contributions)
        ]

    def _said(
        self, place: int, transaction: Any, features: Sequence[float], contribution: float
    ) -> tuple[str, str, float]:
        for says in self._groups[place]:
            if says.feature is None or features[says.feature] == 1.0:
                break  # the last one has no condition
        text = says.text if contribution > 0.0 else says.against
        return says.code(transaction), text(transaction), contribution


def _ranked(contributions: Sequence[float]) -> list[int]:
    """Return the places of all groups that contribute, in the order of their reasons."""
    raising = [(-amount, place) for place, amount in enumerate(contributions) if amount > 0.0]
    lowering = [(amount, place) for place, amount in enumerate(contributions) if amount < 0.0]
    return [place for _, place in (*sorted(raising), *sorted(lowering))]


def _looked_at(name: str, definition: Definition) -> Iterator[str]:
    """Yield the fields that a feature is made of, with those of its conditions."""
    feature = definition.features[name]
    yield from operation(feature)[1]
    yield from feature.when or ()


def _by_itself(name: str, definition: Definition) -> Group:
    """Return the reason of a feature of which the schema says nothing."""
    _, fields = operation(definition.features[name])
    values = ", ".join(f"{field} {{{field}}}" for field in fields)
    return Group(features=[name], says=[Says(code=name.upper(), text=f"{name}: {values}.")])
