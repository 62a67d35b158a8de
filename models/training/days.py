"""Periods that somebody names: so many days to train on, a gap, and so many days to judge on."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Final, NamedTuple

from msgspec import Meta, Struct

from models.errors import TrainingDataError
from models.schema.schema import Schema
from models.training.columns import Flags
from models.training.period_ends import Steps
from models.training.remembered import days_of

_EPOCH: Final = date(1970, 1, 1)
MAX_DAYS: Final = 36_500
"""Of one period."""


class Span(NamedTuple):
    """Whole days in UTC, which follow each other; hour numbers count from 1970."""

    first: date
    days: int

    @property
    def last(self) -> date:
        """The last of them."""
        return _date((self.first - _EPOCH).days + self.days - 1)

    def has(self, step: Steps) -> Flags:
        """Whether hours are in these days."""
        day = days_of(step) - (self.first - _EPOCH).days
        found: Flags = (day >= 0) & (day < self.days)
        return found

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"

    @classmethod
    def ending(cls, step: Steps, days: int) -> Span:
        """Return the last days of hours in order; raises `TrainingDataError`."""
        return cls(_date(int(days_of(step[-1:])[0]) - days + 1), days)


class Days(Struct, frozen=True, omit_defaults=True):
    """How many days each period has; without `test_from`, the last days of the data are judged."""

    train: Annotated[int, Meta(ge=1, le=MAX_DAYS)]
    gap: Annotated[int, Meta(ge=0, le=MAX_DAYS)]
    test: Annotated[int, Meta(ge=1, le=MAX_DAYS)]
    test_from: date | None = None

    def test_span(self, step: Steps) -> Span:
        """Return the days to judge on; `step` has the hours of the data in order.

        Raises `TrainingDataError` if these are beyond the calendar, as `train_span` does.
        """
        return Span(self.test_from, self.test) if self.test_from else Span.ending(step, self.test)

    def train_span(self, step: Steps) -> Span:
        """Return the days to train on."""
        first = (self.test_span(step).first - _EPOCH).days
        return Span(_date(first - self.gap - self.train), self.train)


def known_after(schema: Schema, label_delay: int) -> int:
    """Return the seconds until a label is known, where features are made of labels; else 0."""
    return label_delay if schema.remembering and schema.remembering.uses_labels else 0


def _date(day: int) -> date:
    try:
        return _EPOCH + timedelta(days=day)
    except OverflowError:
        raise TrainingDataError(
            f"day {day:,} since 1970 is in no calendar: check the times, and which days to use"
        ) from None
