"""Tells new heartbeats from those that the worker found when it started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar


class Signed(Protocol):
    """A value that says which worker has written it, and when."""

    @property
    def worker(self) -> str: ...  # noqa: D102
    @property
    def at(self) -> float: ...  # noqa: D102


SignedReport = TypeVar("SignedReport", bound=Signed)


class NewHeartbeats:
    """Selects the values that were written since this worker started.

    Values found at the start may be outdated: they may be older than a sink that was restored from
    a backup.
    """

    def __init__(self) -> None:
        self._found: dict[int, tuple[str, float]] | None = None

    def news(self, now: Mapping[int, SignedReport]) -> dict[int, SignedReport]:
        """Return the values that were written since the first call, by partition."""
        marks = {partition: (each.worker, each.at) for partition, each in now.items()}
        if self._found is None:
            self._found = marks
        found = self._found
        return {
            partition: value
            for partition, value in now.items()
            if marks[partition] != found.get(partition)
        }
