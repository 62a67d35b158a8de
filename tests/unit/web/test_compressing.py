"""Large answers are gzipped for clients that accept gzip, and for no others."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

import pytest

from tests.support.views import Client, ViewBench
from web.compressing import MAX_INLINE_BYTES, gzipped


@pytest.fixture
async def raw(bench: ViewBench) -> AsyncIterator[Client]:
    """A client that unpacks nothing."""
    async with bench.served() as client:
        client.session._auto_decompress = False
        yield client


async def fetched(client: Client, path: str, encoding: str) -> tuple[int, str | None, bytes]:
    async with client.get(path, headers={"Accept-Encoding": encoding}) as answer:
        return answer.status, answer.headers.get("Content-Encoding"), await answer.read()


async def test_a_large_answer_is_compressed_for_clients_that_accept_it(raw: Client) -> None:
    _, encoding, plain = await fetched(raw, "/openapi.json", "identity")
    assert encoding is None
    for accepted in ("gzip", "*", "br, gzip;q=0.5, identity;q=0.1"):
        status, encoding, body = await fetched(raw, "/openapi.json", accepted)
        assert (status, encoding) == (200, "gzip")
        assert len(body) < len(plain)
        assert gzip.decompress(body) == plain


async def test_vary_names_the_headers_that_the_answer_depends_on(raw: Client) -> None:
    for encoding in ("gzip", "identity"):
        async with raw.get("/openapi.json", headers={"Accept-Encoding": encoding}) as answer:
            assert answer.headers["Vary"] == "Accept-Encoding"
    async with raw.get("/healthz", headers={"Accept-Encoding": "gzip"}) as answer:
        assert "Vary" not in answer.headers


async def test_a_small_answer_is_compressed_only_if_identity_is_refused(raw: Client) -> None:
    _, encoding, plain = await fetched(raw, "/healthz", "gzip")
    assert encoding is None
    _, encoding, body = await fetched(raw, "/healthz", "gzip, identity;q=0")
    assert (encoding, gzip.decompress(body)) == ("gzip", plain)


@pytest.mark.parametrize("accepted", ["identity;q=0", "br, *;q=0"])
async def test_a_client_that_accepts_no_encoding_gets_406(raw: Client, accepted: str) -> None:
    async with raw.get("/openapi.json", headers={"Accept-Encoding": accepted}) as answer:
        assert (answer.status, answer.content_type) == (406, "application/problem+json")
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize("size", [1, MAX_INLINE_BYTES, MAX_INLINE_BYTES + 1])
async def test_any_compressed_body_decompresses_to_the_original(size: int) -> None:
    body = bytes(range(251)) * (size // 251 + 1)
    assert gzip.decompress(await gzipped(body[:size])) == body[:size]
