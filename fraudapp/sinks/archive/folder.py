"""The archive in a local folder."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
import uuid
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Final

from fraudapp.decisions.batch import Batch
from fraudapp.sinks.archive.files import (
    AT_ONCE,
    DAY,
    DECISIONS,
    LINGER,
    SUFFIX,
    TIMEOUT,
    days_of,
    is_before,
    objects,
)
from fraudapp.sinks.base import unavailable

PARTS: Final = ".parts"
"""Folder of files that are being written."""
ABANDONED: Final = 3_600.0
"""Seconds after which one that was not touched is what a crash has left."""


class FolderArchive:
    """The archive in a local folder; each file appears whole or not at all, for its owner only."""

    name = "archive"
    max_batch = AT_ONCE
    linger = LINGER

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def open(self) -> None:
        """See `DecisionSink.open`."""
        with unavailable(self.name, OSError):
            await asyncio.to_thread(self._open)

    async def close(self) -> None:
        """See `DecisionSink.close`."""

    async def ping(self) -> None:
        """See `DecisionSink.ping`."""
        with unavailable(self.name, OSError):
            await asyncio.to_thread(os.listdir, self._folder)

    async def save(self, batch: Batch) -> None:
        """See `DecisionSink.save`."""
        with unavailable(self.name, OSError, asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(self._save, batch), TIMEOUT)

    async def write(self, key: str, body: bytes, content_type: str) -> None:
        """See `Archive.write`."""
        with unavailable(self.name, OSError):
            await asyncio.to_thread(self._write, key, body)

    async def days(self) -> list[date]:
        """See `DatedSink.days`."""
        with unavailable(self.name, OSError):
            return days_of(each.name for each in await asyncio.to_thread(self._days))

    async def purge(self, before: date, *, dry_run: bool = False) -> int:
        """See `DecisionSink.purge`."""
        with unavailable(self.name, OSError):
            return await asyncio.to_thread(self._purge, before, dry_run)

    def _days(self) -> list[Path]:
        return sorted((self._folder / DECISIONS).glob(f"{DAY}*"))

    def _purge(self, before: date, dry_run: bool) -> int:
        count = 0
        for day in self._days():
            if is_before(day.name, before):
                count += sum(1 for _ in day.rglob(f"*{SUFFIX}"))
                if not dry_run:
                    shutil.rmtree(day)
        return count

    def _save(self, batch: Batch) -> None:
        for key, content in objects(batch):
            self._write(key, content)

    def _open(self) -> None:
        _make(self._folder / PARTS)
        for part in (self._folder / PARTS).iterdir():
            with suppress(FileNotFoundError):  # another worker was quicker
                # By a clock that is wrong, that of another worker may go: it will write it again.
                if time.time() - part.stat().st_mtime > ABANDONED:
                    part.unlink()

    def _write(self, key: str, content: bytes) -> None:
        path = self._folder / key
        _make(path.parent)
        # In a name that nobody else has: not another worker on the same folder, and not a thread of
        # this one whose save was given up, and goes on.
        part = self._folder / PARTS / f"{uuid.uuid4().hex}.part"
        _make(part.parent)
        try:
            with open(part, "xb", opener=_private) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        _keep_names(path.parent)


def _make(folder: Path) -> None:
    """Make a folder that outlasts a power cut, and those it is in."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _keep_names(folder.parent)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _keep_names(folder: Path) -> None:
    """Return once the names in a folder would outlast a power cut."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
