"""The files of an archive in a bucket, for reading."""

from __future__ import annotations

import asyncio
from datetime import date

from fraudapp.sinks.archive.files import DAY, DECISIONS, SAVE_TIMEOUT, SUFFIX
from fraudapp.sinks.archive.s3 import FAILURES, S3Archive
from fraudapp.sinks.base import unavailable


class Bucket(S3Archive):
    """Reads what `S3Archive` has written; its user needs no right to write."""

    async def open(self) -> None:
        """Connect; raises `SinkUnavailable`."""
        with unavailable(self.name, *FAILURES, refusal=self._refusal):
            self._client = await self._connect()

    async def of_day(self, day: date) -> list[str]:
        """Return the keys of the files of a day, in order; raises `SinkUnavailable`."""
        found: list[str] = []
        with unavailable(self.name, *FAILURES, refusal=self._refusal):
            async for page in self._pages(Prefix=f"{self._prefix}{DECISIONS}/{DAY}{day}/"):
                found += [each["Key"] for each in page.get("Contents", ())]
        return sorted(each for each in found if each.endswith(SUFFIX))

    async def content(self, key: str) -> bytes:
        """Return a file as it is kept; raises `SinkUnavailable`."""
        with unavailable(self.name, *FAILURES, refusal=self._refusal):
            answer = await self._client.get_object(Bucket=self._bucket, Key=key)
            async with answer["Body"] as body:
                content: bytes = await asyncio.wait_for(body.read(), SAVE_TIMEOUT)
        return content
