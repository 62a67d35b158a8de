"""The archive in a local folder."""

from __future__ import annotations

import asyncio
import os
import shutil
from datetime import date
from pathlib import Path

from fraudapp.stores.archive_files import (
    AT_ONCE,
    DAY,
    DECISIONS,
    GATHER,
    SUFFIX,
    TIMEOUT,
    is_before,
    objects,
)
from fraudapp.stores.base import Batch, unavailable


class FolderArchive:
    """The archive in a local folder; each file appears whole or not at all."""

    name = "archive"
    at_once = AT_ONCE
    gather = GATHER

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def open(self) -> None:
        """See `DecisionStore.open`."""
        with unavailable(self.name, OSError):
            await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)

    async def close(self) -> None:
        """See `DecisionStore.close`."""

    async def ping(self) -> None:
        """See `DecisionStore.ping`."""
        with unavailable(self.name, OSError):
            await asyncio.to_thread(os.listdir, self._folder)

    async def save(self, batch: Batch) -> None:
        """See `DecisionStore.save`."""
        with unavailable(self.name, OSError, asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(self._save, batch), TIMEOUT)

    async def write(self, key: str, body: bytes, content_type: str) -> None:
        """See `Archive.write`."""
        with unavailable(self.name, OSError):
            await asyncio.to_thread(self._write, key, body)

    async def purge(self, before: date, *, dry_run: bool = False) -> int:
        """See `DecisionStore.purge`."""
        with unavailable(self.name, OSError):
            return await asyncio.to_thread(self._purge, before, dry_run)

    def _purge(self, before: date, dry_run: bool) -> int:
        count = 0
        for day in sorted((self._folder / DECISIONS).glob(f"{DAY}*")):
            if is_before(day.name, before):
                count += sum(1 for _ in day.rglob(f"*{SUFFIX}"))
                if not dry_run:
                    shutil.rmtree(day)
        return count

    def _save(self, batch: Batch) -> None:
        for key, content in objects(batch):
            self._write(key, content)

    def _write(self, key: str, content: bytes) -> None:
        path = self._folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        # The name too has to survive a power cut.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
