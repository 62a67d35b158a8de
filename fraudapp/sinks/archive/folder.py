"""The archive in a local folder."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Final

from fraudapp.decisions.batch import Batch
from fraudapp.sinks.archive.files import (
    DATED,
    DAY,
    LINGER,
    MAX_BATCH_DECISIONS,
    SAVE_TIMEOUT,
    SUFFIX,
    days_of,
    is_before,
    objects,
    patience,
)
from fraudapp.sinks.base import unavailable

PARTS_FOLDER: Final = ".parts"
"""Folder of files that are being written."""
PART_LIFETIME: Final = 3_600.0
"""Seconds without a change after which such a file is left over from a crash."""


class FolderArchive:
    """The archive in a local folder; each file appears whole or not at all, for its owner only."""

    name = "archive"
    max_batch = MAX_BATCH_DECISIONS
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
            await asyncio.wait_for(asyncio.to_thread(self._save, batch), SAVE_TIMEOUT)

    async def write(self, key: str, body: bytes, content_type: str) -> None:
        """See `Archive.write`."""
        with unavailable(self.name, OSError):
            await asyncio.to_thread(self._write, key, body)

    async def read(self, key: str, limit: int | None = None) -> bytes | None:
        """See `Archive.read`."""
        with unavailable(self.name, OSError, asyncio.TimeoutError):
            reading = asyncio.to_thread(_read, self._folder / key, limit)
            return await asyncio.wait_for(reading, patience(limit) if limit else None)

    async def keys(self, folder: str) -> list[str]:
        """See `Archive.keys`."""
        with unavailable(self.name, OSError):
            return await asyncio.to_thread(self._keys, folder)

    async def remove(self, keys: Sequence[str]) -> None:
        """See `Archive.remove`."""
        with unavailable(self.name, OSError):
            await asyncio.to_thread(self._remove, keys)

    async def days(self) -> list[date]:
        """See `DatedSink.days`."""
        with unavailable(self.name, OSError):
            return days_of(each.name for each in await asyncio.to_thread(self._days))

    async def purge(self, before: date, *, dry_run: bool = False) -> int:
        """See `DecisionSink.purge`."""
        with unavailable(self.name, OSError):
            return await asyncio.to_thread(self._purge, before, dry_run)

    def _keys(self, folder: str) -> list[str]:
        found = (self._folder / folder).rglob("*")
        return [each.relative_to(self._folder).as_posix() for each in found if each.is_file()]

    def _remove(self, keys: Sequence[str]) -> None:
        for path in [self._folder / key for key in keys]:
            path.unlink(missing_ok=True)
            with suppress(OSError):  # it is not empty, or another worker was quicker
                path.parent.rmdir()

    def _days(self) -> list[Path]:
        return sorted(day for each in DATED for day in (self._folder / each).glob(f"{DAY}*"))

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
        _make(self._folder / PARTS_FOLDER)
        for part in (self._folder / PARTS_FOLDER).iterdir():
            with suppress(FileNotFoundError):  # another worker was quicker
                # With a wrong clock, this may delete a file that another worker is writing. That
                # save fails, and is tried again.
                if time.time() - part.stat().st_mtime > PART_LIFETIME:
                    part.unlink()

    def _write(self, key: str, content: bytes) -> None:
        path = self._folder / key
        _make(path.parent)
        # The name is unique among workers on the same folder, and among threads of this worker: a
        # save that was given up goes on in its thread.
        part = self._folder / PARTS_FOLDER / f"{uuid.uuid4().hex}.part"
        _make(part.parent)
        try:
            with open(part, "xb", opener=_private) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        _sync_names(path.parent)


def _make(folder: Path) -> None:
    """Make a folder and its parents, so that they outlast a power cut."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync_names(folder.parent)


def _read(path: Path, limit: int | None) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(-1 if limit is None else limit)
    except FileNotFoundError:
        return None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync_names(folder: Path) -> None:
    """Sync a folder: the names in it outlast a power cut once this returns."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
