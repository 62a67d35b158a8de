"""The totals that values are made of, as values beside these."""

from __future__ import annotations

from typing import Final

from models.profiles.remembering import Remembering, Side
from models.profiles.values import Function, Value

_MADE_OF: Final[dict[Function, tuple[Function, ...]]] = {
    "count": ("count",),
    "sum": ("sum",),
    "mean": ("count", "sum"),
    "frauds": ("count", "frauds"),
    "fraud_rate": ("count", "frauds"),
}


class Totals(Remembering):
    """What a schema remembers, with the totals that its values are made of."""

    def __init__(self, remembering: Remembering) -> None:
        vars(self).update(vars(remembering))
        self.sides = [_with_totals(side) for side in remembering.sides]
        self.names = tuple(name for side in self.sides for name in side.values)

    @property
    def unit(self) -> float:
        """The smallest unit of amounts."""
        return self._unit


def name_of(function: Function, value: Value) -> str:
    """Return the name of a total in the window of a value: no schema can name one so."""
    return f"{function}({value.key}, {value.window})"


def _with_totals(side: Side) -> Side:
    totals = {
        name_of(function, value): Value(function, value.key, value.window)
        for value in side.values.values()
        for function in _MADE_OF.get(value.function, ())
    }
    return side._replace(values={**side.values, **totals})
