"""The archive as a sink: compressed files of JSON lines, each of some seconds of decisions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

from fraudapp.settings import Settings
from fraudapp.sinks.archive.folder import FolderArchive
from fraudapp.sinks.base import DatedSink


class Archive(DatedSink, Protocol):
    """A sink of decisions that also keeps other files, such as daily reports."""

    async def write(self, key: str, body: bytes, content_type: str) -> None:
        """Write one file, in place of one under the same key; raises `SinkUnavailable`."""

    async def read(self, key: str, limit: int | None = None) -> bytes | None:
        """Return what a file holds, None if there is none; raises `SinkUnavailable`.

        Of a file that is larger than `limit`, only its first so many bytes are read.
        """

    async def keys(self, folder: str) -> list[str]:
        """Return the keys of all files below a folder, in any order; raises `SinkUnavailable`."""

    async def remove(self, keys: Sequence[str]) -> None:
        """Remove files, as far as they are there; raises `SinkUnavailable`."""


def archive_at(settings: Settings) -> Archive:
    """Return the archive that the settings name, not yet opened."""
    url = urlsplit(settings.archive)
    if url.scheme == "file":
        return FolderArchive(Path(url2pathname(url.path)))
    # This import is slow, and a worker with a folder does not need it.
    from fraudapp.sinks.archive.s3 import S3Archive

    # Not as a URL: a prefix may hold any character.
    bucket, _, prefix = settings.archive.removeprefix("s3://").partition("/")
    return S3Archive(bucket, prefix, settings)
