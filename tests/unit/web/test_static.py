"""The files of the pages are sent once, packed where that is worth it, and again if they change."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

import pytest

from tests.support.views import Client, ViewBench
from web.pages import FOLDER

LARGE, SMALL = "stats.js", "logo.svg"
GZIP = {"Accept-Encoding": "gzip"}
PLAIN = {"Accept-Encoding": "identity"}


@pytest.fixture
async def raw(bench: ViewBench) -> AsyncIterator[Client]:
    """A client that unpacks nothing."""
    async with bench.served() as client:
        client.session._auto_decompress = False
        yield client


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("stats.js", "text/javascript; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("logo.svg", "image/svg+xml"),
    ],
)
async def test_a_file_is_sent_as_it_is(raw: Client, name: str, kind: str) -> None:
    async with raw.get(f"/static/{name}", headers=PLAIN) as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
        assert await answer.read() == (FOLDER / name).read_bytes()
        assert answer.headers["Cache-Control"] == "no-cache"


async def test_every_file_there_is_can_be_had(raw: Client) -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        url = f"/static/{path.relative_to(FOLDER).as_posix()}"
        async with raw.get(url, headers=PLAIN) as answer:
            assert answer.status == 200
            assert await answer.read() == path.read_bytes()


async def test_a_large_file_is_sent_compressed_to_clients_that_accept_it(raw: Client) -> None:
    async with raw.get(f"/static/{LARGE}", headers=GZIP) as packed:
        assert packed.headers["Content-Encoding"] == "gzip"
        assert packed.headers["Vary"] == "Accept-Encoding"
        assert gzip.decompress(await packed.read()) == (FOLDER / LARGE).read_bytes()
    async with raw.get(f"/static/{LARGE}", headers=PLAIN) as plain:
        assert "Content-Encoding" not in plain.headers
    assert packed.headers["ETag"] == plain.headers["ETag"][:-1] + '-gzip"'


async def test_a_small_file_is_never_compressed(raw: Client) -> None:
    async with raw.get(f"/static/{SMALL}", headers=GZIP) as answer:
        assert "Content-Encoding" not in answer.headers
        assert "Vary" not in answer.headers
        assert await answer.read() == (FOLDER / SMALL).read_bytes()


@pytest.mark.parametrize("encoding", [GZIP, PLAIN])
async def test_a_client_that_has_the_file_gets_304(raw: Client, encoding: dict[str, str]) -> None:
    async with raw.get(f"/static/{LARGE}", headers=encoding) as answer:
        tag = answer.headers["ETag"]
    condition = {**encoding, "If-None-Match": f'"another", W/{tag}'}
    async with raw.get(f"/static/{LARGE}", headers=condition) as again:
        assert (again.status, await again.read()) == (304, b"")
        assert again.headers["ETag"] == tag
    async with raw.get(f"/static/{SMALL}", headers=condition) as other:
        assert other.status == 200


async def test_a_file_that_is_another_is_not_sent_for_the_one_that_was_meant(raw: Client) -> None:
    async with raw.get(f"/static/{LARGE}", headers={**PLAIN, "If-Match": '"another"'}) as answer:
        assert (answer.status, answer.content_type) == (412, "application/problem+json")
        tag = answer.headers["ETag"]
    async with raw.get(f"/static/{LARGE}", headers={**PLAIN, "If-Match": tag}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "name", ["nothing.js", "../pages.py", "%2e%2e/pages.py", "vendor", "/etc/passwd"]
)
async def test_nothing_but_these_files_is_sent(raw: Client, name: str) -> None:
    async with raw.get(f"/static/{name}") as answer:
        assert (answer.status, answer.content_type) == (404, "application/problem+json")


async def test_the_root_path_redirects_to_the_stats(raw: Client) -> None:
    async with raw.get("/", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "/stats")
