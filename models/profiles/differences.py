"""What comes of comparing profiles with those that decisions were made with."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct, field

ROUNDING: Final = 1e-9
"""Share by which values may differ: sums of amounts are whole units times a fraction."""


class Pair(Struct, frozen=True):
    """One value, twice; None where it is unknown."""

    stored: float | None
    """The decision was made with it."""
    computed: float | None
    """It is what the log says."""

    @property
    def distance(self) -> float:
        """How far they are apart; 0 if one of them is unknown."""
        if self.stored is None or self.computed is None:
            return 0.0
        return abs(self.stored - self.computed)


class Difference(Struct):
    """A decision that was made with other values than the log says."""

    transaction_id: str
    decided_at: datetime
    partition: int
    """Of the log."""
    profile_lag: float
    """Seconds that profiles were behind, as the decision says."""
    values: dict[str, Pair]
    """Those that differ, by name."""
    explained: bool = False
    """Whether the worker may have read these values: it may have known more, or less."""


class OfValue(Struct):
    """The differences of one value."""

    differing: int = 0
    """Decisions that have another one."""
    largest: float = 0.0
    """Of those that are known on both sides."""
    unknown: int = 0
    """Those that are known on one side only."""

    def add(self, pair: Pair) -> None:
        """Count a difference."""
        self.differing += 1
        self.largest = max(self.largest, pair.distance)
        self.unknown += pair.stored is None or pair.computed is None


class Verified(Struct):
    """How many decisions were made with the profiles that the log says, and which were not."""

    profile_version: str
    compared: int = 0
    differing: int = 0
    explained: int = 0
    """Those of them whose worker may have known more, or less, of their accounts."""
    of_other_profiles: int = 0
    """Decisions that were made with other profiles, or none: they count in these all the same."""
    earlier: int = 0
    """Decisions before those that were to be compared; they count, too."""
    repeated: int = 0
    """Decisions under an id that was decided before; they count nowhere."""
    labels: int = 0
    """Labels that have changed what is known."""
    first: datetime | None = None
    last: datetime | None = None
    """When the first and the last one was made that was compared."""
    values: dict[str, OfValue] = field(default_factory=dict)
    examples: list[Difference] = field(default_factory=list)
    """The first ones that nothing explains, then the first ones that are explained."""

    @property
    def equal(self) -> int:
        """Decisions without a value that differs."""
        return self.compared - self.differing

    @property
    def unexplained(self) -> int:
        """Decisions that differ for no reason that is known."""
        return self.differing - self.explained


def alike(one: float | None, other: float | None) -> bool:
    """Whether two values are the same but for rounding; None if one is unknown."""
    if one is None or other is None:
        return one is other
    return abs(one - other) <= ROUNDING * max(1.0, abs(one), abs(other))
