"""What was reported since this worker started, and what it found when it did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar


class Signed(Protocol):
    """A report that tells who has written it, and when."""

    @property
    def worker(self) -> str: ...  # noqa: D102
    @property
    def at(self) -> float: ...  # noqa: D102


SignedReport = TypeVar("SignedReport", bound=Signed)


class Since:
    """Tells the reports that were written since this worker started from those it found.

    Those may be of before a store was put back to a copy.
    """

    def __init__(self) -> None:
        self._found: dict[int, tuple[str, float]] | None = None

    def news(self, now: Mapping[int, SignedReport]) -> dict[int, SignedReport]:
        """Return those of all there are that were written since the first call, by partition."""
        marks = {number: (each.worker, each.at) for number, each in now.items()}
        if self._found is None:
            self._found = marks
        found = self._found
        return {number: now[number] for number in now if marks[number] != found.get(number)}
