"""Writes what this worker has counted for the watch into the table, with one of its partitions."""

from __future__ import annotations

from typing import Final

from fraudapp.status import WorkerStatus
from fraudapp.worker import FraudWorker
from models.watch.cells import Days
from tables.global_table import ByPartition

WRITE_INTERVAL: Final = 5.0
"""Seconds between two writings; as much is lost if the worker crashes."""


class WatchCells:
    """Adds what was counted to the cells of the first partition that the worker owns.

    They are read from the table after an assignment, and kept in memory from then on: a paused
    worker that has lost the partition may write over them.
    """

    def __init__(self, worker: FraudWorker, status: WorkerStatus, table: ByPartition[Days]) -> None:
        self._worker = worker
        self._status = status
        self._table = table
        self._taken_over: tuple[int, int] | None = None
        self._days = Days()

    async def write(self) -> None:
        """Write what has changed; without partitions, what was counted waits for some."""
        owned = self._status.owned()
        if not owned:
            return
        partition = min(owned)
        current = self._worker.assignment.generation, partition
        if self._taken_over != current:
            self._days = self._table.get(partition) or Days()
            self._taken_over = current
        for (day, version), cell in self._worker.parts().watch.take().items():
            self._days.add(day, version, cell)
        if self._days.days and self._table.get(partition) != self._days:
            self._table.write(partition, self._days)
