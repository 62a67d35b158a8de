"""The archive: compressed files of JSON lines, on S3 or in a folder, of some seconds each."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

from fraudapp.settings import Settings
from fraudapp.sinks.archive.folder import FolderArchive
from fraudapp.sinks.base import DatedSink


class Archive(DatedSink, Protocol):
    """The archive as more than a sink of decisions: it takes other files too."""

    async def write(self, key: str, body: bytes, content_type: str) -> None:
        """Keep one file, in place of one under the same key; or raise `SinkUnavailable`."""


def archive_at(settings: Settings) -> Archive:
    """Return the archive which the settings name, not yet opened."""
    url = urlsplit(settings.archive)
    if url.scheme == "file":
        return FolderArchive(Path(url2pathname(url.path)))
    # A fifth of a second, which others need not wait.
    from fraudapp.sinks.archive.s3 import S3Archive

    # Not as a URL: a prefix may hold any character.
    bucket, _, prefix = settings.archive.removeprefix("s3://").partition("/")
    return S3Archive(bucket, prefix, settings)
