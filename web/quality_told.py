"""How good the decisions of the whole cluster were, as this worker knows it."""

from __future__ import annotations

import time
from typing import Final

from fraudapp.decisions.recent import Unknowable
from fraudapp.worker import FraudWorker
from models.quality.cells import KEPT_WEEKS, DecisionCells
from models.quality.documents import DecisionQuality
from models.quality.labelled import LabelledWeek, unit_of
from models.quality.quality import MATURE_DAYS, MAX_WEEKS, quality
from tables import Tables

CACHE_SECONDS: Final = 1.0
"""Seconds for which cells are reused, so that many readers cost no more than one."""
Cells = tuple[dict[int, DecisionCells], dict[tuple[int, int], LabelledWeek]]


class QualityTold:
    """Adds up the cells of all partitions, as far as this worker has read them."""

    def __init__(self, worker: FraudWorker, tables: Tables) -> None:
        self._worker = worker
        self._table = tables.quality
        self._cells: tuple[float, Cells | None] = 0.0, None

    def quality(self, weeks: int = MAX_WEEKS, mature_days: int = MATURE_DAYS) -> DecisionQuality:
        """Return what is known now; raises `Unknowable` while that is not all."""
        if self._worker.app.should_stop:
            raise Unknowable("this worker is stopping")
        if not self._table.recovered:
            raise Unknowable("this worker has just started, and does not have all cells yet")
        if not self._worker.parts().quality_labels.has_caught_up:
            raise Unknowable("this worker has not counted all labels yet")
        now = time.time()
        decided, labelled = self._all(now)
        return quality(
            decided,
            labelled,
            now=now,
            unit=unit_of(self._worker.settings.transaction_schema),
            count=weeks,
            mature_days=mature_days,
        )

    def _all(self, now: float) -> Cells:
        read_at, cells = self._cells
        if cells is None or time.monotonic() - read_at > CACHE_SECONDS:
            labels = self._worker.parts().quality_labels
            decided = {partition: each.cells for partition, each in self._table.items()}
            cells = decided, labels.cells(now, KEPT_WEEKS)
            self._cells = time.monotonic(), cells
        return cells
