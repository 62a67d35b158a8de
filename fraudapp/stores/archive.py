"""The archive: files of JSON lines, on S3 or in a folder, one for each batch and partition."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError

from fraudapp.settings import Settings
from fraudapp.stores.base import Batch, DecisionStore, unavailable

TIMEOUT: Final = 10.0
"""Seconds S3 may take for a batch."""


def archive_at(settings: Settings) -> DecisionStore:
    """Return the archive which the settings name, not yet opened."""
    url = urlsplit(settings.archive)
    if url.scheme == "file":
        return FolderArchive(Path(url2pathname(url.path)))
    return S3Archive(url.netloc, url.path.strip("/"), settings)


def objects(batch: Batch) -> Iterator[tuple[str, bytes]]:
    """Yield key and content of each object which holds this batch.

    `decisions/date=D/topic=T/partition=P/FIRST-LAST.jsonl`, with the UTC day of the decisions and
    the range of input offsets: the same batch saved again overwrites itself.
    """
    groups: dict[tuple[str, str, int], list[tuple[int, bytes]]] = defaultdict(list)
    for decision, encoded in zip(batch.decisions, batch.encoded, strict=True):
        day = decision.decided_at.date().isoformat()
        groups[day, decision.topic, decision.partition].append((decision.offset, encoded))
    for (day, topic, partition), lines in groups.items():
        lines.sort()
        span = f"{lines[0][0]:020d}-{lines[-1][0]:020d}"
        key = f"decisions/date={day}/topic={topic}/partition={partition}/{span}.jsonl"
        yield key, b"".join(line + b"\n" for _, line in lines)


class FolderArchive:
    """The archive in a local folder; each file appears whole or not at all."""

    name = "archive"

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
            writing = asyncio.to_thread(self._write, list(objects(batch)))
            await asyncio.wait_for(writing, TIMEOUT)

    def _write(self, contents: list[tuple[str, bytes]]) -> None:
        for key, content in contents:
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


class S3Archive:
    """The archive in a bucket, which must exist before it is opened."""

    name = "archive"

    def __init__(self, bucket: str, prefix: str, settings: Settings) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._settings = settings
        self._stack = AsyncExitStack()
        self._client: Any = None

    async def open(self) -> None:
        """See `DecisionStore.open`."""
        if self._client is None:
            self._client = await self._connect()
        await self.ping()

    async def make_bucket(self) -> None:
        """Make the bucket if there is none; raises `StoreUnavailable`."""
        if self._client is None:
            self._client = await self._connect()
        with unavailable(self.name, BotoCoreError, OSError, asyncio.TimeoutError, ClientError):
            try:
                await self._client.head_bucket(Bucket=self._bucket)
            except ClientError as exc:
                if exc.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
                    raise
                await self._make_bucket()

    async def _make_bucket(self) -> None:
        region = self._settings.s3_region
        # Amazon refuses the name of its default region here.
        options = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        if region == "us-east-1":
            options.clear()
        try:
            await self._client.create_bucket(Bucket=self._bucket, **options)
        except ClientError as exc:
            if exc.response["Error"]["Code"] != "BucketAlreadyOwnedByYou":  # another was quicker
                raise

    async def _connect(self) -> Any:
        key, secret = self._settings.s3_access_key_id, self._settings.s3_secret_access_key
        return await self._stack.enter_async_context(
            get_session().create_client(
                "s3",
                endpoint_url=self._settings.s3_endpoint_url,
                region_name=self._settings.s3_region,
                aws_access_key_id=key.get_secret_value() if key else None,
                aws_secret_access_key=secret.get_secret_value() if secret else None,
                # Retrying is the caller's, with backoff, for all stores alike.
                config=AioConfig(
                    connect_timeout=TIMEOUT / 2,
                    read_timeout=TIMEOUT,
                    retries={"total_max_attempts": 1},
                    s3={"addressing_style": "path"},
                ),
            )
        )

    async def close(self) -> None:
        """See `DecisionStore.close`."""
        await self._stack.aclose()

    async def ping(self) -> None:
        """See `DecisionStore.ping`."""
        with unavailable(self.name, BotoCoreError, ClientError, OSError, asyncio.TimeoutError):
            await self._client.head_bucket(Bucket=self._bucket)

    async def save(self, batch: Batch) -> None:
        """See `DecisionStore.save`."""
        with unavailable(self.name, BotoCoreError, ClientError, OSError, asyncio.TimeoutError):
            puts = (self._put(key, body) for key, body in objects(batch))
            # The client's own timeouts do not cover the wait for "100 Continue" (it hung for ever).
            await asyncio.wait_for(asyncio.gather(*puts), TIMEOUT)

    async def _put(self, key: str, body: bytes) -> None:
        await self._client.put_object(
            Bucket=self._bucket,
            Key=self._prefix + key,
            Body=body,
            ContentType="application/x-ndjson",
        )
