"""Reasons in words, made from the contributions of features.

Features about one fact form one group, as those do that compare an amount with a balance. A group
makes one reason, whose contribution is the sum over the group, so that reasons add up as
contributions do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.records import Reason
from models.schema import templates
from models.schema.definition import Definition, Says, operation
from models.schema.definition import Reason as Group

Floats = NDArray[np.float64]


class _Sentence(NamedTuple):
    """A sentence of a group; `feature` is the column that has to be 1, None for any row."""

    feature: int | None
    code: Callable[[Any], str]
    text: Callable[[Any], str]


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
                )
                for each in group.says
            ]
            for group in groups
        ]
        self._membership = np.array(
            [[float(name in group.features) for group in groups] for name in names]
        )

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
        """Return up to `most` reasons, in order of the absolute value of their contributions.

        `features` is the row of the matrix, and `contributions` has one number for each group;
        groups that contribute 0 make no reason.
        """
        ranked = sorted(range(len(self._groups)), key=lambda place: -abs(contributions[place]))
        return [
            self._reason(place, transaction, features, contributions[place])
            for place in ranked[:most]
            if contributions[place] != 0.0
        ]

    def _reason(
        self, place: int, transaction: Any, features: Sequence[float], contribution: float
    ) -> Reason:
        for says in self._groups[place]:
            if says.feature is None or features[says.feature] == 1.0:
                break  # the last one has no condition
        return Reason(says.code(transaction), says.text(transaction), contribution)


def _by_itself(name: str, definition: Definition) -> Group:
    """Return the reason of a feature of which the schema says nothing."""
    _, fields = operation(definition.features[name])
    values = ", ".join(f"{field} {{{field}}}" for field in fields)
    return Group(features=[name], says=[Says(code=name.upper(), text=f"{name}: {values}.")])
