"""The archive in a bucket on S3, or on another server with the S3 API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import date
from http import HTTPStatus
from typing import Any, Final

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from aiohttp import ClientPayloadError
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, SSLError

from fraudapp.decisions.batch import Batch
from fraudapp.settings import Settings
from fraudapp.sinks.archive.files import (
    CONTENT_TYPE,
    DATED,
    DAY,
    LINGER,
    MAX_BATCH_DECISIONS,
    SAVE_TIMEOUT,
    days_of,
    is_before,
    objects,
    patience,
)
from fraudapp.sinks.base import SinkUnavailable, unavailable

UPLOAD_SPREAD: Final = 0.2
"""Seconds over which the uploads of one save begin: each takes time of the event loop, and those of
all partitions at once hold up decisions noticeably."""
UNSPREAD_DECISIONS: Final = MAX_BATCH_DECISIONS * 3 // 4
"""Decisions of a save from which on its uploads begin together: so many come from a high load, with
which the archive has to keep up, and not from the end of the linger."""
PROBE_KEY: Final = "access"
"""Key of an empty file. Writing it tests the access of a user who may not look at the bucket."""
UPLOAD_RETRY_DELAYS: Final = (0.1, 0.2, 0.4)
"""Seconds before each retry of an upload that a busy server did not take. A save has many uploads,
and without these retries the failure of one would begin all of them anew."""
MAX_DELETED: Final = 1_000
"""Keys in one request to delete them, at most: S3 takes no more."""
# Answers to a request for the bucket, where that is not allowed or not known.
_BUCKET_NOT_SHOWN: Final = (
    HTTPStatus.FORBIDDEN,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.NOT_IMPLEMENTED,
)
# Answers of servers that cannot delete several keys in one request, or not with our checksum.
_NO_BULK_DELETE: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.LENGTH_REQUIRED,
    HTTPStatus.NOT_IMPLEMENTED,
)
_RETRYABLE_CODES: Final = ("RequestTimeTooSkewed", "RequestExpired", "SlowDown")
_WRONG_REGION_CODES: Final = ("AuthorizationHeaderMalformed", "IllegalLocationConstraintException")
# A download that is cut on its way is an error of aiohttp, which botocore does not know.
FAILURES: Final = (
    BotoCoreError,
    ClientError,
    ClientPayloadError,
    OSError,
    asyncio.TimeoutError,
)


class S3Archive:
    """The archive in a bucket, which must exist before it is opened."""

    name = "archive"
    max_batch = MAX_BATCH_DECISIONS
    linger = LINGER

    def __init__(self, bucket: str, prefix: str, settings: Settings) -> None:
        self.spread = UPLOAD_SPREAD
        """Seconds over which the uploads of one save begin; 0 where nothing else needs the loop."""
        self._bucket = bucket
        self._prefix = "".join(f"{part}/" for part in prefix.split("/") if part)
        self._settings = settings
        self._stack = AsyncExitStack()
        self._client: Any = None
        self._may_write = False
        self._no_bulk_delete = False

    async def open(self) -> None:
        """See `DecisionSink.open`."""
        await self.ping()

    async def make_bucket(self) -> None:
        """Make the bucket if there is none, as `init` does; raises `SinkUnavailable`."""
        await self._ensure_client()
        with unavailable(self.name, *FAILURES):
            try:
                await self._client.head_bucket(Bucket=self._bucket)
            except ClientError as exc:
                if _status(exc) in _BUCKET_NOT_SHOWN:
                    return  # a user who may not look at the bucket may not make one
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
            if exc.response["Error"]["Code"] != "BucketAlreadyOwnedByYou":  # a race
                raise

    async def _ensure_client(self) -> None:
        if self._client is None:
            self._client = await self._connect()

    async def _connect(self) -> Any:
        ca_file = self._settings.s3_ca_file
        key, secret = self._settings.s3_access_key_id, self._settings.s3_secret_access_key
        return await self._stack.enter_async_context(
            get_session().create_client(
                "s3",
                endpoint_url=self._settings.s3_endpoint_url,
                region_name=self._settings.s3_region,
                verify=ca_file and str(ca_file),
                aws_access_key_id=key.get_secret_value() if key else None,
                aws_secret_access_key=secret.get_secret_value() if secret else None,
                # The sink writer retries, with backoff, as it does for all sinks.
                config=AioConfig(
                    connect_timeout=SAVE_TIMEOUT / 2,
                    read_timeout=SAVE_TIMEOUT,
                    retries={"total_max_attempts": 1},
                    # Many servers take no checksum after the body. The signature covers the body.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                    s3={"addressing_style": self._settings.s3_addressing},
                ),
            )
        )

    async def close(self) -> None:
        """See `DecisionSink.close`."""
        await self._stack.aclose()

    async def ping(self) -> None:
        """See `DecisionSink.ping`."""
        with unavailable(self.name, *FAILURES, refusal=self._refusal):
            await self._ensure_client()
            try:
                await self._client.head_bucket(Bucket=self._bucket)
            except ClientError as exc:
                if _status(exc) not in _BUCKET_NOT_SHOWN:
                    raise
                if not self._may_write:
                    await asyncio.wait_for(self._put(PROBE_KEY, b"", "text/plain"), SAVE_TIMEOUT)

    async def save(self, batch: Batch) -> None:
        """See `DecisionSink.save`."""
        with unavailable(self.name, *FAILURES, refusal=self._refusal):
            files = await asyncio.to_thread(lambda: list(objects(batch)))
            spread = 0.0 if len(batch.decisions) >= UNSPREAD_DECISIONS else self.spread
            # The client's own timeouts do not cover the wait for "100 Continue", which may not end.
            await asyncio.wait_for(self._upload(files, spread), SAVE_TIMEOUT)

    async def _upload(self, files: Sequence[tuple[str, bytes]], spread: float) -> None:
        puts = [
            asyncio.create_task(self._put(*file, CONTENT_TYPE, after=spread * index / len(files)))
            for index, file in enumerate(files)
        ]
        try:
            await asyncio.gather(*puts)
        finally:
            for put in puts:  # one has failed: the save is tried again with all of them
                put.cancel()

    async def write(self, key: str, body: bytes, content_type: str) -> None:
        """See `Archive.write`."""
        with unavailable(self.name, *FAILURES, refusal=self._refusal):
            await self._ensure_client()
            await asyncio.wait_for(self._put(key, body, content_type), patience(len(body)))

    async def read(self, key: str, limit: int | None = None) -> bytes | None:
        """See `Archive.read`."""
        with unavailable(self.name, *FAILURES, refusal=self._refusal):
            try:
                return await asyncio.wait_for(self._get(key, limit), patience(limit or 0))
            except ClientError as exc:
                if exc.response["Error"].get("Code") != "NoSuchKey":
                    raise
                return None

    async def _get(self, key: str, limit: int | None) -> bytes:
        await self._ensure_client()
        answer = await self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
        body, chunks = answer["Body"], []
        async with body:
            if limit is None:
                return bytes(await body.read())
            while limit > 0 and (chunk := await body.read(limit)):
                chunks.append(chunk)
                limit -= len(chunk)
        return b"".join(chunks)

    async def keys(self, folder: str) -> list[str]:
        """See `Archive.keys`."""
        found: list[str] = []
        with unavailable(self.name, *FAILURES, refusal=self._refusal):
            await self._ensure_client()
            async for page in self._pages(Prefix=f"{self._prefix}{folder}/"):
                found += [item["Key"] for item in page.get("Contents", ())]
        return [each.removeprefix(self._prefix) for each in found]

    async def remove(self, keys: Sequence[str]) -> None:
        """See `Archive.remove`."""
        with unavailable(self.name, *FAILURES, refusal=self._refusal):
            await self._ensure_client()
            for begin in range(0, len(keys), MAX_DELETED):
                await self._delete(
                    [self._prefix + each for each in keys[begin : begin + MAX_DELETED]]
                )

    async def _put(self, key: str, body: bytes, content_type: str, after: float = 0.0) -> None:
        for delay in UPLOAD_RETRY_DELAYS:
            await asyncio.sleep(after)
            try:
                await self._put_once(key, body, content_type)
                return
            except ClientError as exc:
                if _status(exc) < HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise
            after = delay
        await asyncio.sleep(after)
        await self._put_once(key, body, content_type)

    async def _put_once(self, key: str, body: bytes, content_type: str) -> None:
        await self._client.put_object(
            Bucket=self._bucket, Key=self._prefix + key, Body=body, ContentType=content_type
        )
        self._may_write = True

    async def days(self) -> list[date]:
        """See `DatedSink.days`."""
        with unavailable(self.name, *FAILURES, refusal=self._refusal):
            return days_of([name async for _, name in self._days()])

    async def purge(self, before: date, *, dry_run: bool = False) -> int:
        """See `DecisionSink.purge`."""
        count = 0
        with unavailable(self.name, *FAILURES, refusal=self._refusal):
            async for prefix, name in self._days():
                if is_before(name, before):
                    count += await self._purge_below(prefix, dry_run)
        return count

    async def _days(self) -> AsyncIterator[tuple[str, str]]:
        """Yield the prefix of each day of decisions, and of labels, with the folder's name."""
        for root in (f"{self._prefix}{each}/" for each in DATED):
            async for page in self._pages(Prefix=f"{root}{DAY}", Delimiter="/"):
                for day in page.get("CommonPrefixes", ()):
                    yield day["Prefix"], day["Prefix"].removeprefix(root).rstrip("/")

    async def _purge_below(self, prefix: str, dry_run: bool) -> int:
        count = 0
        async for page in self._pages(Prefix=prefix):
            keys = [item["Key"] for item in page.get("Contents", ())]
            count += len(keys)
            if keys and not dry_run:
                await self._delete(keys)
        return count

    async def _delete(self, keys: Sequence[str]) -> None:
        if not self._no_bulk_delete:
            delete = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
            try:
                answer = await self._client.delete_objects(Bucket=self._bucket, Delete=delete)
            except ClientError as exc:
                if _status(exc) not in _NO_BULK_DELETE:
                    raise
                self._no_bulk_delete = True
            else:
                if errors := answer.get("Errors"):
                    raise SinkUnavailable(f"{self.name}: {len(errors)} not deleted: {errors[0]}")
                return
        for key in keys:
            await self._client.delete_object(Bucket=self._bucket, Key=key)

    async def _pages(self, **options: str) -> AsyncIterator[dict[str, Any]]:
        paginator = self._client.get_paginator("list_objects_v2")
        async for page in paginator.paginate(Bucket=self._bucket, **options):
            yield page

    def _refusal(self, exc: BaseException) -> str | None:
        if isinstance(exc, SSLError):
            return (
                f"the certificate is not trusted ({exc}); name in FRAUD_S3_CA_FILE the file of the "
                "authority that issued it"
            )
        if isinstance(exc, NoCredentialsError):
            return "there are no credentials; set FRAUD_S3_ACCESS_KEY_ID"
        if not isinstance(exc, ClientError):
            return None
        code = exc.response["Error"].get("Code")
        if code in _RETRYABLE_CODES:
            return None
        status = _status(exc)
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return (
                f"{exc}; FRAUD_S3_ACCESS_KEY_ID and FRAUD_S3_SECRET_ACCESS_KEY must be those of "
                f"somebody who may use the bucket {self._bucket}"
            )
        if status == HTTPStatus.NOT_FOUND:
            return f"there is no bucket {self._bucket}; make it, or set FRAUD_ARCHIVE_URL"
        moved = status == HTTPStatus.MOVED_PERMANENTLY  # to another region
        if moved or code in _WRONG_REGION_CODES:
            return f"the bucket {self._bucket} is elsewhere; set FRAUD_S3_REGION"
        return None


def _status(exc: ClientError) -> int:
    return int(exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
