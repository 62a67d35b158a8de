"""What accounts did before each transaction of a file, whose rows may be in any order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.profiles.events import Events, Keys
from models.profiles.reading import Floats
from models.profiles.replaying import LABEL_DELAY, replayed
from models.profiles.windows import DAY, HOUR
from models.schema.definition import Field
from models.schema.fields import number
from models.schema.schema import Schema
from models.training.period_ends import Steps

LONGEST: Final = 1 / 3
"""Share of the time of the data that only warms up profiles, at most."""


class Remembered:
    """Takes transactions in, and says of each what a worker would have known of its accounts."""

    def __init__(self, schema: Schema) -> None:
        """Raises `ValueError` for a schema without times: nobody knows what came before."""
        if schema.remembering is None:
            raise ValueError(f"schema {schema.name} has no [profile]")
        time = schema.definition.role("time")
        if time is None:
            raise ValueError(
                f"schema {schema.name} has a [profile], and no field with the role time, without "
                "which nobody can tell what came before a transaction; give the role to a field"
            )
        self._remembering = schema.remembering
        self.known = self._remembering.known
        """Returns the values of a row by name, without those that are unknown."""
        self._time = time
        self._moment = attrgetter(time)
        self._seconds = _seconds(schema.definition.fields[time])
        self._parts: list[Events] = []
        self._moments: list[Floats] = []
        self._fraud: list[NDArray[np.bool_]] = []
        self._known: dict[bytes | None, bytes | None] = {}

    def add(self, transactions: Sequence[Any], fraud: Sequence[Any] | NDArray[Any]) -> None:
        """Add transactions, and whether each turned out to be fraud; raises `ValueError`."""
        try:
            moments = np.array([*map(self._seconds, map(self._moment, transactions))], np.float64)
        except TypeError:  # a time that is not given
            moments = np.array([np.nan])
        if np.isnan(moments).any():
            raise ValueError(f"{self._time} is missing in a row, and profiles are of times")
        seconds = np.floor(moments).astype(np.int64)
        made, one = self._remembering.events(transactions, seconds.tolist()), self._known.setdefault
        sides = [Keys([one(key, key) for key in each.keys], each.marks) for each in made.sides]
        self._moments.append(moments)
        self._parts.append(Events(made.seconds, made.amounts, sides))
        self._fraud.append(np.asarray(fraud, np.bool_))

    def values(self, label_delay: int = LABEL_DELAY) -> Floats:
        """Return the values of all, in the order in which they were added; see `replayed`."""
        fraud = np.concatenate([np.zeros(0, np.bool_), *self._fraud])
        moments = np.concatenate([np.zeros(0), *self._moments])
        return replayed(self._remembering, self._joined(), fraud, label_delay, moments)

    def _joined(self) -> Events:
        parts = self._parts or [self._remembering.events([], [])]
        sides = []
        for side, first in enumerate(parts[0].sides):
            given = [each.sides[side] for each in parts]
            keys = [key for each in given for key in each.keys]
            numbers = range(len(first.marks))
            sides.append(
                Keys(keys, [np.concatenate([each.marks[n] for each in given]) for n in numbers])
            )
        seconds = np.concatenate([each.seconds for each in parts])
        return Events(seconds, np.concatenate([each.amounts for each in parts]), sides)


def fields(schema: Schema) -> list[str]:
    """Return the fields of transactions that profiles are made of, beside time and amount."""
    sides = schema.remembering.sides if schema.remembering else []
    return [*dict.fromkeys(name for side in sides for name in (side.field, *side.marks))]


def warmed_up(schema: Schema, step: Steps) -> int:
    """Return the first hour whose rows have a past, of rows whose hours are given in order.

    The rows before it only warm up the profiles: as many days as profiles reach back, and a third
    of the time of the data at most. It is the first hour if the schema remembers nothing.
    """
    first, last = int(step[0]), int(step[-1])
    if schema.remembering is None:
        return first
    longest = max(side.layout.levels.kept for side in schema.remembering.sides) // HOUR
    return first + min(longest, int((last - first + 1) * LONGEST))


def _seconds(field: Field) -> Callable[[Any], float]:
    """Return a function from a time to seconds since 1970; hour numbers count from there."""
    read = number(field) or float
    scale = {"hour": float(HOUR), "epoch_ms": 1e-3}.get(field.format or "", 1.0)
    return read if scale == 1.0 else lambda value: read(value) * scale


def days_of(step: Steps) -> Steps:
    """Return the day since 1970 of each hour, of which the first one is 1."""
    found: Steps = (step - 1) // (DAY // HOUR)
    return found
