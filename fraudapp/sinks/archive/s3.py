"""The archive on S3, or on a server that speaks as S3 does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import date
from http import HTTPStatus
from typing import Any, Final

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, SSLError

from fraudapp.decisions.batch import Batch
from fraudapp.settings import Settings
from fraudapp.sinks.archive.files import (
    AT_ONCE,
    DAY,
    DECISIONS,
    LINGER,
    TIMEOUT,
    days_of,
    is_before,
    objects,
)
from fraudapp.sinks.base import SinkUnavailable, unavailable

SPREAD: Final = 0.2
"""Seconds over which the uploads of one save begin: each takes the event loop some milliseconds,
and those of all partitions at once held up decisions by 50 to 90."""
HURRY: Final = AT_ONCE * 3 // 4
"""Decisions of a save from which its uploads begin at once: it was not time that made it, but a
load that the archive has to keep up with."""
COMPRESSED: Final = "application/gzip"
PROBE: Final = "access"
"""Key of an empty file, by which to find out whether one may write who may not see the bucket."""
PAUSES: Final = (0.1, 0.2, 0.4)
"""Seconds after which an upload is tried again that the server had no time for: of those that
belong to one save, else all would begin anew."""
# What a request for the bucket is answered with, where that is not allowed or not known.
_UNTOLD: Final = (HTTPStatus.FORBIDDEN, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED)
# What those answer that cannot delete several at once, or not with our checksum.
_ONE_BY_ONE: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.LENGTH_REQUIRED,
    HTTPStatus.NOT_IMPLEMENTED,
)
_PASSING: Final = ("RequestTimeTooSkewed", "RequestExpired", "SlowDown")
_ELSEWHERE: Final = ("AuthorizationHeaderMalformed", "IllegalLocationConstraintException")
FAILURES: Final = (BotoCoreError, ClientError, OSError, asyncio.TimeoutError)


class S3Archive:
    """The archive in a bucket, which must exist before it is opened."""

    name = "archive"
    max_batch = AT_ONCE
    linger = LINGER

    def __init__(self, bucket: str, prefix: str, settings: Settings) -> None:
        self.spread = SPREAD
        """Seconds over which the uploads of one save begin; 0 for who has nothing else to do."""
        self._bucket = bucket
        self._prefix = "".join(f"{part}/" for part in prefix.split("/") if part)
        self._settings = settings
        self._stack = AsyncExitStack()
        self._client: Any = None
        self._may_write = False
        self._one_by_one = False

    async def open(self) -> None:
        """See `DecisionSink.open`."""
        await self.ping()

    async def make_bucket(self) -> None:
        """Make the bucket if there is none; raises `SinkUnavailable`."""
        if self._client is None:
            self._client = await self._connect()
        with unavailable(self.name, *FAILURES):
            try:
                await self._client.head_bucket(Bucket=self._bucket)
            except ClientError as exc:
                if _status(exc) in _UNTOLD:
                    return  # whoever may not look does not make buckets
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
                # Retrying is the caller's, with backoff, for all sinks alike.
                config=AioConfig(
                    connect_timeout=TIMEOUT / 2,
                    read_timeout=TIMEOUT,
                    retries={"total_max_attempts": 1},
                    # Many servers take no checksum behind the body. The signature has one of it.
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
            if self._client is None:
                self._client = await self._connect()
            try:
                await self._client.head_bucket(Bucket=self._bucket)
            except ClientError as exc:
                if _status(exc) not in _UNTOLD:
                    raise
                if not self._may_write:
                    await asyncio.wait_for(self._put(PROBE, b"", "text/plain"), TIMEOUT)

    async def save(self, batch: Batch) -> None:
        """See `DecisionSink.save`."""
        with unavailable(self.name, *FAILURES, refusal=self._refusal):
            contents = await asyncio.to_thread(lambda: list(objects(batch)))
            spread = 0.0 if len(batch.decisions) >= HURRY else self.spread
            # The client's own timeouts do not cover the wait for "100 Continue" (it hung for ever).
            await asyncio.wait_for(self._upload(contents, spread), TIMEOUT)

    async def _upload(self, contents: Sequence[tuple[str, bytes]], spread: float) -> None:
        puts = [
            asyncio.create_task(self._put(*each, COMPRESSED, after=spread * number / len(contents)))
            for number, each in enumerate(contents)
        ]
        try:
            await asyncio.gather(*puts)
        finally:
            for put in puts:  # one has failed: the rest will be tried again with it
                put.cancel()

    async def write(self, key: str, body: bytes, content_type: str) -> None:
        """See `Archive.write`."""
        with unavailable(self.name, *FAILURES, refusal=self._refusal):
            await asyncio.wait_for(self._put(key, body, content_type), TIMEOUT)

    async def _put(self, key: str, body: bytes, content_type: str, after: float = 0.0) -> None:
        for pause in PAUSES:
            await asyncio.sleep(after)
            try:
                await self._put_once(key, body, content_type)
                return
            except ClientError as exc:
                if _status(exc) < HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise
            after = pause
        await asyncio.sleep(after)
        await self._put_once(key, body, content_type)

    async def _put_once(self, key: str, body: bytes, content_type: str) -> None:
        await self._client.put_object(
            Bucket=self._bucket, Key=self._prefix + key, Body=body, ContentType=content_type
        )
        self._may_write = True

    async def days(self) -> list[date]:
        """See `DatedSink.days`."""
        root = f"{self._prefix}{DECISIONS}/"
        found: list[str] = []
        with unavailable(self.name, *FAILURES, refusal=self._refusal):
            async for page in self._pages(Prefix=f"{root}{DAY}", Delimiter="/"):
                found += [each["Prefix"] for each in page.get("CommonPrefixes", ())]
        return days_of(each.removeprefix(root).rstrip("/") for each in found)

    async def purge(self, before: date, *, dry_run: bool = False) -> int:
        """See `DecisionSink.purge`."""
        count = 0
        root = f"{self._prefix}{DECISIONS}/"
        with unavailable(self.name, *FAILURES, refusal=self._refusal):
            async for page in self._pages(Prefix=f"{root}{DAY}", Delimiter="/"):
                for day in page.get("CommonPrefixes", ()):
                    if is_before(day["Prefix"].removeprefix(root).rstrip("/"), before):
                        count += await self._purge_below(day["Prefix"], dry_run)
        return count

    async def _purge_below(self, prefix: str, dry_run: bool) -> int:
        count = 0
        async for page in self._pages(Prefix=prefix):
            keys = [item["Key"] for item in page.get("Contents", ())]
            count += len(keys)
            if keys and not dry_run:
                await self._delete(keys)
        return count

    async def _delete(self, keys: Sequence[str]) -> None:
        if not self._one_by_one:
            delete = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
            try:
                answer = await self._client.delete_objects(Bucket=self._bucket, Delete=delete)
            except ClientError as exc:
                if _status(exc) not in _ONE_BY_ONE:
                    raise
                self._one_by_one = True
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
        if not isinstance(exc, ClientError) or exc.response["Error"].get("Code") in _PASSING:
            return None
        status = _status(exc)
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return (
                f"{exc}; FRAUD_S3_ACCESS_KEY_ID and FRAUD_S3_SECRET_ACCESS_KEY must be those of "
                f"somebody who may use the bucket {self._bucket}"
            )
        if status == HTTPStatus.NOT_FOUND:
            return f"there is no bucket {self._bucket}; make it, or set FRAUD_ARCHIVE_URL"
        moved = status == HTTPStatus.MOVED_PERMANENTLY
        if moved or exc.response["Error"].get("Code") in _ELSEWHERE:
            return f"the bucket {self._bucket} is elsewhere; set FRAUD_S3_REGION"
        return None


def _status(exc: ClientError) -> int:
    return int(exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
