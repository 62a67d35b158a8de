"""What the contenders that save in bulk have in common: the worker's own sinks, all at once."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fraudapp.decisions.batch import Batch
from fraudapp.settings import Settings
from fraudapp.sinks.all import Sinks
from fraudapp.sinks.archive.s3 import S3Archive
from models.records import Decision

STORING: Final = os.environ.get("BENCH_STORES") != "0"


class Bulk:
    """The three sinks, or none of them."""

    def __init__(self, settings: Settings) -> None:
        self.sinks = Sinks(settings)
        if isinstance(self.sinks.archive, S3Archive):
            self.sinks.archive.spread = 0.0  # a contender waits for each of its saves
        self.progress = Progress()

    async def open(self) -> None:
        """Connect."""
        for sink in self.sinks.each:
            await sink.open()

    async def save(self, decisions: Sequence[Decision]) -> None:
        """Keep a batch everywhere."""
        if STORING and decisions:
            batch = Batch(decisions)
            await asyncio.gather(*(sink.save(batch) for sink in self.sinks.each))
        self.progress.add(len(decisions))


class Progress:
    """Tells whoever measures, through a file, how many events are done; 50 times a second."""

    def __init__(self) -> None:
        self._path = Path(os.environ["BENCH_PROGRESS"])
        self._total = int(os.environ["BENCH_COUNT"])
        self._count = 0
        self._written = 0.0

    def add(self, count: int) -> None:
        """Count events as done."""
        self._count += count
        if self._count >= self._total or time.monotonic() - self._written > 0.02:
            draft = self._path.with_suffix(".draft")
            draft.write_text(str(self._count))
            draft.replace(self._path)
            self._written = time.monotonic()
