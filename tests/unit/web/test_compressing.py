"""Large answers are packed for who takes that, and for nobody else."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

import pytest

from tests.support.views import Client, ViewBench
from web.compressing import AT_ONCE, packed


@pytest.fixture
async def raw(bench: ViewBench) -> AsyncIterator[Client]:
    """A client that unpacks nothing."""
    async with bench.served() as client:
        client.session._auto_decompress = False
        yield client


async def fetched(client: Client, path: str, encoding: str) -> tuple[int, str | None, bytes]:
    async with client.get(path, headers={"Accept-Encoding": encoding}) as answer:
        return answer.status, answer.headers.get("Content-Encoding"), await answer.read()


async def test_a_large_answer_is_packed_for_who_takes_it(raw: Client) -> None:
    _, encoding, plain = await fetched(raw, "/openapi.json", "identity")
    assert encoding is None
    for accepted in ("gzip", "*", "br, gzip;q=0.5, identity;q=0.1"):
        status, encoding, body = await fetched(raw, "/openapi.json", accepted)
        assert (status, encoding) == (200, "gzip")
        assert len(body) < len(plain)
        assert gzip.decompress(body) == plain


async def test_caches_are_told_what_the_answer_depends_on(raw: Client) -> None:
    for encoding in ("gzip", "identity"):
        async with raw.get("/openapi.json", headers={"Accept-Encoding": encoding}) as answer:
            assert answer.headers["Vary"] == "Accept-Encoding"
    async with raw.get("/healthz", headers={"Accept-Encoding": "gzip"}) as answer:
        assert "Vary" not in answer.headers


async def test_a_small_answer_is_packed_only_for_who_takes_nothing_else(raw: Client) -> None:
    _, encoding, plain = await fetched(raw, "/healthz", "gzip")
    assert encoding is None
    _, encoding, body = await fetched(raw, "/healthz", "gzip, identity;q=0")
    assert (encoding, gzip.decompress(body)) == ("gzip", plain)


@pytest.mark.parametrize("accepted", ["identity;q=0", "br, *;q=0"])
async def test_who_takes_an_answer_in_no_form_is_told_so(raw: Client, accepted: str) -> None:
    async with raw.get("/openapi.json", headers={"Accept-Encoding": accepted}) as answer:
        assert (answer.status, answer.content_type) == (406, "application/problem+json")
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize("size", [1, AT_ONCE, AT_ONCE + 1])
async def test_whatever_its_size_it_unpacks_to_what_it_was(size: int) -> None:
    body = bytes(range(251)) * (size // 251 + 1)
    assert gzip.decompress(await packed(body[:size])) == body[:size]
