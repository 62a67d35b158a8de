"""Writes the cells of this worker's partitions into the table of quality."""

from __future__ import annotations

from typing import Final

from fraudapp.status import WorkerStatus
from fraudapp.worker import FraudWorker
from tables.global_table import ByPartition
from tables.quality import PartitionCells

WRITE_INTERVAL: Final = 3.0
"""Seconds between two writings, at least."""


class QualityCells:
    """Writes the cells of a partition when the table has others."""

    def __init__(
        self, worker: FraudWorker, status: WorkerStatus, table: ByPartition[PartitionCells]
    ) -> None:
        self._worker = worker
        self._status = status
        self._table = table

    async def write(self) -> None:
        """Write what has changed.

        A worker that was paused may have written over it when the partition was no longer its own,
        so it is compared with what the table has now.
        """
        decisions = self._worker.parts().decisions
        for partition in self._status.owned():
            index = decisions.index(partition)
            if index is None:
                continue
            cells = PartitionCells(index.next_offset, index.quality)
            if self._table.get(partition) != cells:
                self._table.write(partition, cells)
