"""Decisions of a period, from the archive: a folder or a bucket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

import msgspec
from isal import igzip
from isal.igzip_lib import IsalError

from fraudapp.backtests.period import Period
from fraudapp.settings import Settings
from fraudapp.sinks.archive.files import DAY, DECISIONS, SUFFIX, days_of
from fraudapp.sinks.base import SinkUnavailable, unavailable
from models.records import Decision
from models.schema.schema import Schema


class Files(Protocol):
    """The files of an archive; methods raise `SinkUnavailable`."""

    async def days(self) -> list[date]:
        """Return the UTC days that have files."""

    async def of_day(self, day: date) -> list[str]:
        """Return the keys of the files of a day, in order."""

    async def content(self, key: str) -> bytes:
        """Return a file as it is kept."""


async def decisions(settings: Settings, period: Period) -> AsyncIterator[list[Decision]]:
    """Yield what a period may hold, day by day and file by file; raises `SinkUnavailable`."""
    schema = settings.transaction_schema
    first, last = _day(period.read_since), _day(period.until)
    async with _opened(settings) as files:
        for day in sorted(each for each in await files.days() if first <= each <= last):
            for key in await files.of_day(day):
                yield _decoded(key, await files.content(key), schema)


def _decoded(key: str, content: bytes, schema: Schema) -> list[Decision]:
    try:
        lines: bytes = igzip.decompress(content)  # type: ignore[no-untyped-call]
        return [schema.decode(line) for line in lines.splitlines()]
    except (OSError, EOFError, IsalError, msgspec.DecodeError) as exc:  # type: ignore[misc]
        raise SinkUnavailable(
            f"archive: {key} is no file of decisions, or damaged ({exc}); move it away, or "
            "restore it"
        ) from exc


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def days(self) -> list[date]:
        with unavailable("archive", OSError):
            return days_of(each.name for each in await asyncio.to_thread(self._days))

    async def of_day(self, day: date) -> list[str]:
        folder = self._folder / DECISIONS / f"{DAY}{day}"
        with unavailable("archive", OSError):
            found = await asyncio.to_thread(lambda: sorted(folder.rglob(f"*{SUFFIX}")))
        return [str(each) for each in found]

    async def content(self, key: str) -> bytes:
        with unavailable("archive", OSError):
            return await asyncio.to_thread(Path(key).read_bytes)

    def _days(self) -> list[Path]:
        self._folder.stat()  # raises if it is not there, which is not the same as empty
        return [*(self._folder / DECISIONS).glob(f"{DAY}*")]


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Files]:
    url = urlsplit(settings.archive)
    if url.scheme == "file":
        yield _Folder(Path(url2pathname(url.path)))
        return
    # This import is slow, and an archive in a folder does not need it.
    from fraudapp.backtests.bucket import Bucket

    bucket, _, prefix = settings.archive.removeprefix("s3://").partition("/")
    files = Bucket(bucket, prefix, settings)
    try:
        await files.open()
        yield files
    finally:
        await files.close()


def _day(moment: datetime) -> date:
    return moment.astimezone(timezone.utc).date()
