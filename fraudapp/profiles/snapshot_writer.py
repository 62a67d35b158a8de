"""Writes snapshots of this worker's profiles into the archive, in turn with other workers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from math import nan
from pathlib import Path
from time import monotonic
from typing import Final

from mode import Service

from fraudapp.labels.database import DATABASE_FAILED, write_when_possible
from fraudapp.operation import Operation
from fraudapp.profiles import metrics
from fraudapp.profiles.folding import Folded
from fraudapp.profiles.snapshot_files import FilesDiffer, copy, read, remove
from fraudapp.profiles.snapshots import SNAPSHOT_FAILED, Snapshots
from fraudapp.profiles.store import STATE, State, decode_state

LOOK_SECONDS: Final = 20.0
"""Seconds between two looks whether a snapshot is due, and until a failed one is tried again."""
LIST_TIMEOUT: Final = 30.0
"""Seconds that the archive may take to say what is in it, and to remove some."""
WRITE_TIMEOUT: Final = 3_600.0
"""Seconds that writing a snapshot may take."""
FLUSH_TIMEOUT: Final = 10.0
"""Seconds that the disk may take before a snapshot is made of what it has."""
_OUTGOING: Final = "outgoing"
_POLL_SECONDS: Final = 0.05


class SnapshotWriter(Service):
    """Writes a snapshot whenever the newest one is old, or many decisions have come since."""

    def __init__(
        self,
        snapshots: Snapshots,
        folded: Folded,
        interval: timedelta,
        decisions: int,
        is_mine: Callable[[], bool],
    ) -> None:
        """Write one after an interval, or so many `decisions`.

        `is_mine` tells whether this worker is to write them now.
        """
        self._snapshots = snapshots
        self._folded = folded
        self._interval = interval
        self._decisions = decisions
        self._is_mine = is_mine
        self._made_at: datetime | None = None
        self._read = 0  # decisions at that time, or when it was first known here
        self._began: datetime | None = None  # when this worker had to write the first one
        self._writing = Operation("writing a snapshot of the profiles into the archive")
        metrics.snapshot_interval.set(interval.total_seconds())
        metrics.snapshot_age.set_function(self._age)
        super().__init__()

    async def on_start(self) -> None:
        """Remove what a crash has left."""
        await asyncio.to_thread(remove, self._folded.store.folder / _OUTGOING)

    @Service.timer(LOOK_SECONDS)
    async def _look_regularly(self) -> None:
        await self.look(datetime.now(timezone.utc))

    async def look(self, now: datetime) -> bool:
        """Write a snapshot if it is due at a moment; returns whether one was written."""
        if not self._is_mine():
            self._made_at = self._began = None
            return False
        self._began = self._began or now
        self._writing.began()
        try:
            if self._is_recent(now):
                return False
            # Another worker may have written one meanwhile.
            made_at = await asyncio.wait_for(self._snapshots.newest(), LIST_TIMEOUT)
            if made_at != self._made_at:
                self._note(made_at)
            if self._is_recent(now):
                self._writing.succeeded()
                return False
            await asyncio.wait_for(self._write(now), WRITE_TIMEOUT)
            self._note(now.replace(microsecond=0))  # as its name says
            await asyncio.wait_for(self._snapshots.prune(), LIST_TIMEOUT)
        except (*SNAPSHOT_FAILED, *DATABASE_FAILED) as exc:
            self._writing.failed(exc)
            return False
        self._writing.succeeded()
        return True

    def _note(self, made_at: datetime | None) -> None:
        self._made_at, self._read = made_at, sum(self._folded.decisions.values())

    def _is_recent(self, now: datetime) -> bool:
        """Whether the newest one is; one with a time to come is of a clock that was wrong."""
        if self._made_at is None or sum(self._folded.decisions.values()) - self._read >= (
            self._decisions
        ):
            return False
        return timedelta() <= now - self._made_at < self._interval

    async def _write(self, now: datetime) -> None:
        outgoing = self._folded.store.folder / _OUTGOING
        await self._flush()
        try:
            files, state = await asyncio.to_thread(_copied, self._folded.store.folder, outgoing)
            made_of = self._folded.store.made_of
            manifest = await self._snapshots.write(files, state, made_of, now)
            metrics.snapshot_bytes.set(manifest.bytes)
        finally:
            await asyncio.to_thread(remove, outgoing)

    async def _flush(self) -> None:
        """Let what was read be on disk, as far as the disk is quick enough."""
        deadline = monotonic() + FLUSH_TIMEOUT
        await write_when_possible(self._folded.write)
        self._folded.store.flush()
        while self._folded.store.is_flushing and monotonic() < deadline:
            await asyncio.sleep(_POLL_SECONDS)

    def _age(self) -> float:
        since = self._made_at or self._began
        return (datetime.now(timezone.utc) - since).total_seconds() if since else nan


def _copied(folder: Path, target: Path) -> tuple[list[Path], State]:
    files = copy(folder, target)
    content = read(target, STATE)
    if content is None:
        raise FilesDiffer(f"{folder} has no profiles on disk yet")
    return files, decode_state(content)
