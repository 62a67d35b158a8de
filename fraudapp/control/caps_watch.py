"""Has the caps of the policy in force begin and end.

Each worker counts what it decides itself, and asks for the counts of the others. What it finds, it
writes to the control topic; a cap has begun, or ended, once that was read back from there, at all
workers alike.

Decisions are counted when they are made, and not once they are in their log: so a cap begins
sooner, by the time that the broker and full write buffers take. Counts are approximate: those of a
worker that crashes are lost, what is decided again after a rebalance counts twice, and the counts
of others are a moment old. What is in force is not approximate, since it comes from the log.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from aiokafka.errors import KafkaError

from fraudapp.control.follower import ControlLog
from fraudapp.control.writer import ControlWriter
from models.control.records import CapKey, Capped
from models.policies.ruling import NO_CAPS
from models.policies.shares import Counts, limits, total
from models.policies.watched import Watched
from models.records import Decision

log = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 0.5
"""Seconds that a worker leaves to the one whose turn it is to write."""
_MAX_AUTHOR: Final = 128


class CapsWatch:
    """Watches the caps of the policy in force, if it has any; each policy begins anew."""

    def __init__(
        self,
        name: str,
        control: Callable[[], ControlLog],
        writer: Callable[[], ControlWriter],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`name` is this worker's; `control` and `writer` are asked for once it has started."""
        self._author = name[:_MAX_AUTHOR]
        self._control = control
        self._writer = writer
        self._clock = clock
        self._policy = ""
        self._watched: Watched | None = None

    @property
    def is_needed(self) -> bool:
        """Whether the policy in force has caps; if not, nothing is counted."""
        return self._current() is not None

    def count(self, decisions: Sequence[Decision]) -> None:
        """Count decisions that were made by what is in force now."""
        if watched := self._current():
            watched.count(decisions, self._clock())

    def own(self) -> Counts | None:
        """Return what this worker has decided in the window; None if the policy has no caps."""
        watched = self._current()
        return watched.own(self._clock()) if watched else None

    def is_urgent(self) -> bool:
        """Whether others should have `own` at once: for all we know, a cap has to begin."""
        watched = self._current()
        begun = self._control().in_force.caps
        return watched is not None and watched.rising(watched.own(self._clock()), begun)

    async def check(self, others: Callable[[], Iterable[Counts]], *, is_first: bool) -> None:
        """Begin and end the caps for which it is time, and return once that is in force.

        `others` returns the counts of all other workers. One worker of all should say that it
        `is_first`: the others write only what it has not written a moment later. Two that write
        the same do no harm, since the second record changes nothing.
        """
        watched = self._current()
        if watched is None:
            return
        now, key, begun = self._clock(), self._policy, self._control().in_force.caps
        counts = watched.own(now)
        # The share of all workers is above a limit only if that of one of them is.
        if begun != NO_CAPS or watched.rising(counts, begun):
            counts = total([counts, *others()])
        patience = 0.0 if is_first else PATIENCE_SECONDS
        due = watched.due(counts, begun, now, patience=patience)
        caps = {
            CapKey(key, name): self._capped(
                name, due[name], counts.share(name), watched.why(name, counts)
            )
            for name in sorted(due)  # the one on all that is blocked comes first: it has no name
        }
        if caps:
            await self._write(caps)

    def _current(self) -> Watched | None:
        control = self._control()
        id_ = control.candidate.id if control.candidate else ""
        if id_ != self._policy:
            policy = control.in_force.ruling.policy
            self._policy = id_
            self._watched = Watched(policy) if id_ and limits(policy) else None
        return self._watched

    def _capped(self, rule: str, begins: bool, share: float, why: str) -> Capped:
        cap = f"the cap on rule {rule}" if rule else "the cap on all that is blocked"
        log.warning("%s %s: %s", cap, "begins" if begins else "ends", why)
        return Capped(on=begins, share=round(min(share, 1.0), 6), author=self._author, note=why)

    async def _write(self, caps: Mapping[CapKey, Capped]) -> None:
        try:
            await self._writer().set_caps(caps)
        except KafkaError as exc:
            log.warning("whether %d caps were written is looked up again: %s", len(caps), exc)
