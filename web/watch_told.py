"""What the watch of the whole cluster has found, as this worker knows it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from fraudapp.decisions.recent import Unknowable
from fraudapp.worker import FraudWorker
from models.watch.cells import summed
from models.watch.documents import Alarm, Watched
from models.watch.judging import in_order, watched
from models.watch.labels import of_labels
from tables import Tables
from web.quality_told import QualityTold

CACHE_SECONDS: Final = 10.0
"""Seconds for which an answer is reused, since nothing is decided while days are judged."""
LABELLED_WEEKS: Final = 4
"""The last weeks whose labels are compared with scores."""


class WatchTold:
    """Adds up and judges the cells of all partitions, as far as this worker has read them."""

    def __init__(self, worker: FraudWorker, tables: Tables, quality: QualityTold) -> None:
        self._worker = worker
        self._table = tables.watch
        self._quality = quality
        self._told: tuple[float, Watched | None] = 0.0, None

    def watched(self) -> Watched:
        """Return what is known now; raises `Unknowable` while that is not all."""
        if self._worker.app.should_stop:
            raise Unknowable("this worker is stopping")
        if not self._table.recovered:
            raise Unknowable("this worker has just started, and does not have all cells yet")
        made_at, told = self._told
        if told is None or time.monotonic() - made_at > CACHE_SECONDS:
            days = summed(each.days for _, each in self._table.items())
            told = watched(days, self._worker.parts().watch.expected, time.time())
            told = replace(told, alarms=in_order([*told.alarms, *self._of_labels()]))
            self._told = time.monotonic(), told
        return told

    def _of_labels(self) -> Iterator[Alarm]:
        try:
            quality = self._quality.quality(LABELLED_WEEKS)
        except Unknowable:  # features and scores can be told of without labels
            return
        yield from of_labels(quality)
