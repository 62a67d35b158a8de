"""The caps of one policy as one worker sees them: what it counts, and what has to begin or end."""

from __future__ import annotations

from collections.abc import Sequence

from models.policies.definition import PolicyFile
from models.policies.ruling import Begun
from models.policies.shares import (
    ALL,
    Counts,
    Window,
    above,
    certain_reasons,
    limits,
    tally,
)
from models.records import Decision


class Watched:
    """Counts decisions of a policy; times are in seconds of a clock that never goes back."""

    def __init__(self, policy: PolicyFile) -> None:
        self.limits = limits(policy)
        """By the name of the cap, the share above which it begins."""
        self._window = Window(policy.caps.window_seconds)
        self._caps = policy.caps
        self._certain = certain_reasons(policy)
        self._since: dict[tuple[str, bool], float] = {}

    def count(self, decisions: Sequence[Decision], now: float) -> None:
        """Count decisions of this policy that this worker makes now."""
        self._window.add(tally(decisions, self.limits, self._certain), now)

    def own(self, now: float) -> Counts:
        """Return what this worker has decided in the window."""
        return self._window.counts(now)

    def due(
        self, counts: Counts, begun: Begun, now: float, *, patience: float = 0.0
    ) -> dict[str, bool]:
        """Return by name the caps that have to begin (True) or to end (False).

        `counts` are those of all workers. A cap begins when its share is above the limit, and ends
        when it was not for `calm_seconds`; both wait for `patience` seconds more. With fewer
        decisions than `min_decisions`, no share is above its limit.

        The window goes on when a cap begins or ends, whoever ends it. So one that a person ends
        while its share is above the limit begins again at once: another policy is the way out.
        """
        enough = counts.decisions >= self._caps.min_decisions
        high = above(counts, self.limits) if enough else set()
        other = {
            (name, name in high) for name in self.limits if (name in high) is not on(name, begun)
        }
        self._since = {each: self._since.get(each, now) for each in other}
        return {
            name: begins
            for (name, begins), since in self._since.items()
            if now - since >= patience + (0 if begins else self._caps.calm_seconds)
        }

    def rising(self, counts: Counts, begun: Begun) -> bool:
        """Whether a share is above the limit of a cap that has not begun."""
        return any(not on(name, begun) for name in above(counts, self.limits))

    def why(self, name: str, counts: Counts) -> str:
        """Return a sentence on what was counted for a cap."""
        return (
            f"{counts.hits.get(name, 0):,} of {counts.decisions:,} decisions in "
            f"{self._caps.window_seconds:,} s; the cap is a share of {self.limits[name]:.4g}."
        )


def on(name: str, begun: Begun) -> bool:
    """Whether a cap has begun and not ended."""
    return begun.on_all if name == ALL else name in begun.rules
