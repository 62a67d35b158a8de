"""A bad body is answered with a client error, and costs other callers nothing."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import socket
import zlib
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from models import splitting
from models.schema.schema import PAYSIM
from models.splitting import MAX_ITEM_BYTES
from tests.support.serving import sent, served, until
from tests.support.transactions import FIELDS
from web import bodies
from web.connections import Connections
from web.limits import Limits
from web.problems import GONE, Problem, problems

MOST = 1_000_000
LIMITS = Limits(connections=20, body=0.3, rate=1e6, tick=0.01)
BODY = b'{"a": "%b"}' % (b"x" * 1_000)


def application(statuses: list[int]) -> web.Application:
    @web.middleware
    async def noted(request: web.Request, handler: Any) -> web.StreamResponse:
        response: web.StreamResponse = await handler(request)
        statuses.append(response.status)
        return response

    async def post(request: web.Request) -> web.StreamResponse:
        return web.Response(body=await bodies.read(request))

    app = web.Application(middlewares=[noted, problems], client_max_size=MOST)
    app.router.add_post("/", post)
    return app


def chunked(body: bytes) -> bytes:
    return b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def sized(body: bytes, encoding: str = "", size: int | None = None) -> bytes:
    named = f"Content-Encoding: {encoding}\r\n" if encoding else ""
    length = len(body) if size is None else size
    return f"{named}Content-Length: {length}\r\n\r\n".encode() + body


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


ZIPPED = gzip.compress(BODY, mtime=0)
GOOD = {
    "plain": sized(BODY),
    "chunked": chunked(BODY),
    "identity": sized(BODY, "identity"),
    "gzip": sized(ZIPPED, "gzip"),
    "GZip": sized(ZIPPED, "GZip"),
    "x-gzip": sized(ZIPPED, "x-gzip"),
    "joined": sized(gzip.compress(BODY[:9], mtime=0) + gzip.compress(BODY[9:]), "gzip"),
    "deflate": sized(zlib.compress(BODY), "deflate"),
    "raw deflate": sized(raw_deflate(BODY), "deflate"),
    "chunked gzip": b"Content-Encoding: gzip\r\n" + chunked(ZIPPED),
}
BAD = {
    "no gzip": (400, sized(BODY, "gzip")),
    "no deflate": (400, sized(b"\xff" * 99, "deflate")),
    "half of it": (400, sized(ZIPPED[:20], "gzip")),
    "nothing of it": (400, sized(b"", "gzip")),
    "something behind": (400, sized(ZIPPED + b"junk", "gzip")),
    "changed": (400, sized(ZIPPED[:20] + b"\xff\xff\xff" + ZIPPED[23:], "gzip")),
    "wrong sum": (400, sized(ZIPPED[:-8] + b"\x00" * 8, "gzip")),
    "twice": (415, sized(gzip.compress(ZIPPED, mtime=0), "gzip, gzip")),
    "in two headers": (
        415,
        b"Content-Encoding: gzip\r\n" + sized(gzip.compress(ZIPPED, mtime=0), "gzip"),
    ),
    "two ways": (415, sized(ZIPPED, "deflate, gzip")),
    "br": (415, sized(BODY, "br")),
    "zstd": (415, sized(BODY, "zstd")),
    "compress": (415, sized(BODY, "compress")),
    "unheard of": (415, sized(BODY, "x" * 200)),
    "a bomb": (413, sized(gzip.compress(b" " * 50_000_000, mtime=0), "gzip")),
    "a bomb of bombs": (413, sized(gzip.compress(b" " * 100_000, mtime=0) * 500, "gzip")),
    "a deflated bomb": (413, sized(zlib.compress(b" " * 50_000_000), "deflate")),
    "large": (413, sized(b"x" * (MOST + 1))),
    "large, it says": (413, sized(b"", size=MOST + 1)),
    "large in chunks": (413, chunked(b"x" * (MOST + 1))),
    "a chunk of no size": (400, b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n"),
    "a chunk too long": (400, b"Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n"),
    "a negative chunk": (400, b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n"),
    "size and chunks": (400, b"Content-Length: 5\r\n" + chunked(b"hello")),
    "two sizes": (400, b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
    "a negative size": (400, b"Content-Length: -5\r\n\r\nhello"),
    "a size in words": (400, b"Content-Length: five\r\n\r\nhello"),
    "an endless size": (400, b"Content-Length: " + b"9" * 40 + b"\r\n\r\nhello"),
    "less than it says": (408, sized(b"x" * 10, size=20)),
    "a zipped half": (408, sized(ZIPPED[:20], "gzip", size=len(ZIPPED))),
}


async def asked(port: int, rest: bytes) -> tuple[int, bytes]:
    reader, _ = await sent(port, b"POST / HTTP/1.1\r\nHost: h\r\n" + rest)
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    return int(head.split()[1]), await reader.readexactly(size)


@pytest.mark.parametrize("kind", GOOD)
async def test_a_body_is_read_in_every_content_encoding(kind: str) -> None:
    async with served(application([]), LIMITS) as (_, port):
        assert await asked(port, GOOD[kind]) == (200, BODY)


@pytest.mark.parametrize("steps", range(6))
@pytest.mark.parametrize("body", [sized(b"x" * 100_000), chunked(b"x" * 100_000)])
async def test_a_body_may_come_before_its_handler_has_begun(body: bytes, steps: int) -> None:
    """Between the head and its handler lie some steps of the loop, in which much can come."""
    async with served(application([]), LIMITS) as (runner, _):
        loop = asyncio.get_running_loop()
        client, accepted = socket.socketpair()
        await loop.connect_accepted_socket(cast(Any, runner.server), accepted)
        reader, writer = await asyncio.open_connection(sock=client)
        head, rest = body.split(b"\r\n\r\n", 1)
        client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\n" + head + b"\r\n\r\n")
        for _ in range(steps):
            await asyncio.sleep(0)
        loop.call_later(0, client.sendall, rest)  # after what the sockets bring in the same step
        answer = await reader.readuntil(b"x" * 100_000)
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("kind", BAD)
async def test_a_damaged_body_is_a_client_error(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    expected, rest = BAD[kind]
    async with served(application([]), LIMITS) as (_, port):
        assert (await asked(port, rest))[0] == expected
        assert await asked(port, GOOD["plain"]) == (200, BODY)
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    "rest",
    [
        sized(b"half", size=9_999),
        sized(ZIPPED[:20], "gzip", size=9_999),
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
        sized(b"x" * 100_000, size=200_000),
    ],
)
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_client_that_disconnects_is_no_error(
    rest: bytes, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    statuses: list[int] = []
    async with served(application(statuses), LIMITS._replace(body=999)) as (runner, port):
        connections = runner.server
        assert isinstance(connections, Connections)
        _, writer = await sent(port, b"POST / HTTP/1.1\r\nHost: h\r\n" + rest)
        await until(lambda: any(each.waits_for() == "body" for each in connections.open))
        if how == "reset":
            writer.transport.abort()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        await until(lambda: bool(statuses))
    assert statuses in ([GONE], [400])
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


async def test_half_bodies_do_not_fill_the_memory() -> None:
    limits = LIMITS._replace(body=999, held=1_000_000)
    async with served(application([]), limits) as (runner, port):
        connections = runner.server
        assert isinstance(connections, Connections)
        for _ in range(10):
            await sent(port, b"POST / HTTP/1.1\r\nHost: h\r\n", sized(b"x" * 300_000, size=400_000))
        await until(lambda: len(connections.open) <= 3)
        assert await asked(port, sized(b"x" * 800_000)) == (200, b"x" * 800_000)
        await until(lambda: connections.held <= 1_000_000)


def array(*changes: dict[str, Any]) -> bytes:
    return json.dumps([{**FIELDS, **each} for each in changes]).encode()


async def refused(body: bytes) -> Problem:
    with pytest.raises(Problem) as caught:
        await bodies.many(body, PAYSIM)
    return caught.value


async def test_no_more_than_a_hundred_errors_are_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_at = 0

    def counted(raw: bytes) -> Any:
        nonlocal looked_at
        looked_at += 1
        return parse(raw)

    parse = PAYSIM.parser.parse
    monkeypatch.setattr(PAYSIM.parser, "parse", counted)
    problem = await refused(array(*[{"step": 0}] * 1_000))
    assert (problem.status, len(problem.extra["errors"]), looked_at) == (422, 100, 100)
    assert "100" in problem.detail
    problem = await refused(array({}, {"step": 0, "amount": "1"}, {}))
    assert [error["index"] for error in problem.extra["errors"]] == [1, 1]
    assert "100" not in problem.detail


async def test_too_many_are_not_counted_nor_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PAYSIM.parser, "parse", None)
    for body in (b"[" + b"0," * 990_000 + b"0]", b"[" + b"{}," * 1_000 + b"junk"):
        problem = await refused(body)
        assert problem.status == 413
        assert "1000" in problem.detail


async def test_others_have_their_turn_while_a_large_body_is_read() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.ensure_future(others())
    body = array(*[{"transaction_id": f"t{n}", "note": "x" * 1_500} for n in range(1_000)])
    assert len(await bodies.many(body, PAYSIM)) == 1_000
    beside.cancel()
    assert turns > 2 * len(body) / bodies.PIECE_BYTES / 2


async def test_a_transaction_is_no_larger_than_it_may_be() -> None:
    large = {"note": "x" * MAX_ITEM_BYTES}
    with pytest.raises(Problem) as caught:
        bodies.one(json.dumps({**FIELDS, **large}).encode(), PAYSIM)
    assert caught.value.status == 413
    errors = (await refused(array({}, large))).extra["errors"]
    assert errors == [{"index": 1, "field": "", "problem": "has more than 65,536 bytes"}]
    assert splitting.MAX_ITEM_BYTES == 65_536


async def test_what_a_client_has_sent_is_not_sent_back_whole() -> None:
    errors = (await refused(array({"type": "x" * 60_000}))).extra["errors"]
    assert len(str(errors)) < 1_000


JSON = "application/json"
ODD = {
    "semicolons": JSON + ";" * 8_000,
    "quotes": JSON + ';a="' + '"' * 8_000,
    "parameters": JSON + ";a=b" * 2_000,
    "blanks": JSON + " ;  ;\t" * 1_500 + "x",
    "brackets": JSON + "; " + "(" * 8_000,
    "a long number": JSON + f"; charset*{'9' * 5_000}=a",
    "no text": JSON + "; charset*=idna''%41%ff",
    "no charset": JSON + "; charset*=undefined''a",
    "a charset that is escaped": JSON + "; charset*=unicode_escape''%5CuD800",
}


def typed(*given: str) -> SimpleNamespace:
    headers = CIMultiDict(("Content-Type", each) for each in given)
    return SimpleNamespace(headers=CIMultiDictProxy(headers))


@pytest.mark.parametrize(
    "given",
    [
        JSON,
        "Application/JSON",
        "application/problem+json",
        "application/json;charset=utf-8",
        'application/json; charset="UTF-8"; ',
        "application/json ; version=1;charset=us-ascii",
    ],
)
def test_json_is_taken(given: str) -> None:
    bodies.demand_json(typed(given))


@pytest.mark.parametrize(
    "given",
    [
        (),
        ("",),
        ("text/plain",),
        ("application/jsonp",),
        ("application/json, text/plain",),
        (JSON, "text/plain"),
        ("application/json; charset=latin-1",),
        ("application/json; charset=utf-8; charset=utf-16",),
        ("application/json; charset",),
        *((odd,) for odd in ODD.values()),
        ("application/json; ((((",),
        ('application/json; a="',),
    ],
)
def test_what_is_not_json_is_refused(given: tuple[str, ...]) -> None:
    with pytest.raises(Problem) as caught:
        bodies.demand_json(typed(*given))
    assert caught.value.status == 415
