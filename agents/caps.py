"""Checks the caps of the policy in force four times a second, while it has any."""

from __future__ import annotations

import asyncio
from typing import Final

from agents.heartbeats import Heartbeats
from fraudapp.control.caps_watch import CapsWatch
from fraudapp.status import WorkerStatus
from fraudapp.worker import FraudWorker
from models.policies.shares import Counts
from tables.global_table import ByPartition
from tables.heartbeats import Heartbeat, for_caps

CHECK_INTERVAL: Final = 0.25
"""Seconds between two checks."""


class Caps:
    """Adds up what heartbeats tell, and speeds heartbeats up while a cap may have to begin."""

    def __init__(
        self,
        worker: FraudWorker,
        status: WorkerStatus,
        table: ByPartition[Heartbeat],
        watch: CapsWatch,
        heartbeats: Heartbeats,
    ) -> None:
        self._worker = worker
        self._name = status.name
        self._table = table
        self._watch = watch
        self._heartbeats = heartbeats

    async def follow(self) -> None:
        """Check again and again; without caps, wait for a policy that has some."""
        control = self._worker.parts().control
        while True:
            await control.changed.wait_for(lambda: self._watch.is_needed)
            await asyncio.sleep(CHECK_INTERVAL)
            await self.check()

    async def check(self) -> None:
        """Tell the other workers what this one has counted, if it matters; then check."""
        if self._watch.is_urgent():
            self._heartbeats.tell_counts()
        # The owner of the first partition writes for all.
        await self._watch.check(self._of_others, is_first=0 in self._worker.assignment.partitions)

    def _of_others(self) -> list[Counts]:
        version = self._worker.parts().control.in_force.version
        return for_caps((each for _, each in self._table.items()), version, but=self._name)
