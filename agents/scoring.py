"""Decides a batch: with the policy in force, and with what is remembered of the accounts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any, Protocol

from agents.shadow_log import ShadowLog
from fraudapp.settings import Settings
from fraudapp.worker import Started
from models.deciding import UNPROFILED, Profiled, decide, unscored
from models.deduplication import Deduplicated
from models.inputs import ValidInput
from models.profiles.events import Events
from models.records import Decision

log = logging.getLogger(__name__)


class Part(Protocol):
    """What is decided of one partition."""

    partition: int
    deduplicated: Deduplicated
    next_offset: int
    decisions: Sequence[Decision]
    """Decisions on `deduplicated.new`, in its order."""
    in_flight: Events | None
    """What profiles have in flight of them; None without."""


class Scoring:
    """Decides; nothing waits from the look at what is known to the decisions."""

    def __init__(self, settings: Settings, started: Started) -> None:
        self._schema = settings.transaction_schema
        self._worker = started
        self._profiles = started.profiles
        self._shadow_log = ShadowLog()

    async def wait_for_profiles(self, next_offsets: dict[int, int]) -> bool:
        """Wait until profiles have what is in the log before these offsets, within bounds.

        Returns whether it had to wait: what was looked up before may be another one now.
        """
        if self._profiles is None or self._profiles.are_current(next_offsets):
            return False
        return await self._profiles.wait_for(next_offsets)

    def decide(self, parts: Sequence[Part]) -> list[Decision]:
        """Decide all new inputs, in the order of partitions, which is that of the result.

        Those that the model cannot score are rejected.
        """
        # Whoever reads the log can tell this order again, and so compute the same profiles.
        ordered = sorted(parts, key=lambda part: part.partition)
        now = datetime.now(timezone.utc)
        decisions, events = self._decided(ordered, now)
        in_force = self._worker.control.in_force
        canary = [in_force.canary.champion] if in_force.canary else []
        self._shadow_log.look([*in_force.challengers, *canary], now)
        at = 0
        for part in ordered:
            end = at + len(part.deduplicated.new)
            part.decisions = decisions[at:end]
            part.in_flight = None if events is None else events.at(slice(at, end))
            at = end
        return decisions

    def settle(self, part: Part, last: bytes) -> None:
        """Take in the decisions of a part, which are in the log as they were to be.

        `last` is the JSON of the last of them.
        """
        if self._profiles is not None and part.in_flight is not None:
            self._profiles.settle(part.partition, part.next_offset, part.in_flight, last)
            part.in_flight = None

    def release(self, part: Part) -> None:
        """Let the decisions of a part be in flight no longer, unless they are settled."""
        if self._profiles is not None and part.in_flight is not None:
            self._profiles.release(part.partition, part.in_flight)
            part.in_flight = None

    def _decided(
        self, parts: Sequence[Part], now: datetime
    ) -> tuple[list[Decision], Events | None]:
        policy, seen = self._worker.control.in_force, self._worker.watch.add
        how: Any = {"scorer": self._worker.serving, "policy": policy}
        how |= {"now": now, "schema": self._schema}
        new = _new(parts)
        profiled, events = self._known(new, now)
        try:
            return decide(new, profiles=profiled, seen=seen, **how), events
        except ValueError:
            if not (why := unscored(new, profiles=profiled, **how)):
                raise
        log.error("%d of %d transactions have no score: %s", len(why), len(new), min(why.values()))
        for part in parts:
            part.deduplicated.reject_unscored(why)
        if self._profiles is not None and events is not None:
            self._profiles.release(parts[0].partition, events)
        new = _new(parts)
        profiled, events = self._known(new, now)
        return decide(new, profiles=profiled, seen=seen, **how), events

    def _known(self, new: Sequence[ValidInput], now: datetime) -> tuple[Profiled, Events | None]:
        if self._profiles is None:
            return UNPROFILED, None
        return self._profiles.read([each.transaction for each in new], now)


def _new(parts: Sequence[Part]) -> list[ValidInput]:
    return [each for part in parts for each in part.deduplicated.new]
