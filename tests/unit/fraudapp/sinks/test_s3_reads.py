"""A file of a bucket that does not come whole is no file: the archive fails, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from fraudapp.settings import load
from fraudapp.sinks.archive.s3 import S3Archive
from fraudapp.sinks.base import SinkUnavailable

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[S3Archive]:
    """A bucket on a server that gives every request this answer, and hangs up."""

    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(answered, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = load(
        {
            "FRAUD_S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "FRAUD_S3_ACCESS_KEY_ID": "key",
            "FRAUD_S3_SECRET_ACCESS_KEY": "secret",
        }
    )
    archive = S3Archive("bucket", "", settings)
    try:
        yield archive
    finally:
        await archive.close()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("limit", [None, 1_000, 12])
@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"Content-Length: 100\r\n\r\nfirst bytes",
        HEAD + b"Content-Length: 100\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nb\r\nfirst bytes\r\n",
        HEAD[:20],
        b"",
    ],
)
async def test_a_file_that_is_cut_on_its_way_is_a_failure(answer: bytes, limit: int | None) -> None:
    async with answering(answer) as archive:
        with pytest.raises(SinkUnavailable):
            await archive.read("a/b", limit)


async def test_no_more_is_waited_for_than_was_asked_for() -> None:
    async with answering(HEAD + b"Content-Length: 100\r\n\r\nfirst bytes") as archive:
        assert await archive.read("a/b", 5) == b"first"
        assert await archive.read("a/b", 0) == b""
