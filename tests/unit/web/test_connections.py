"""A client that keeps the server waiting is timed out, and dropped if others need room."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.web import AppRunner
from aiohttp.web_server import Server
from faust.web.drivers.aiohttp import Web as FaustWeb

from fraudapp.metrics import registry
from fraudapp.process.logs import AUDIT
from tests.support.serving import sent, served, until
from web.connection import BodyTooLarge, Connection
from web.connections import Connections
from web.limits import Limits
from web.runner import Runner

pytestmark = pytest.mark.slow

SHORT = Limits(connections=100, head=0.2, idle=0.2, body=0.2, rate=1e9, answer=0.2, tick=0.01)
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n"
LARGE = 20 << 20
Client = Callable[[int], Coroutine[Any, Any, Any]]


async def answer(request: web.Request) -> web.StreamResponse:
    await request.read()
    return web.Response(text="here")


async def large(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"x" * LARGE)


async def stream(request: web.Request) -> web.StreamResponse:
    connection = request.protocol
    assert isinstance(connection, Connection)
    connection.stream()
    response = web.StreamResponse()
    await response.prepare(request)
    with suppress(ConnectionError):
        while True:
            await response.write(b"x" * 10_000)
            await asyncio.sleep(0)
    return response


def application() -> web.Application:
    app = web.Application()
    app.router.add_route("*", "/", answer)
    app.router.add_get("/large", large)
    app.router.add_get("/stream", stream)
    return app


async def drip(port: int, beginning: bytes, drop: bytes) -> None:
    """Send a few bytes again and again, and never the end."""
    _, writer = await sent(port, beginning)
    with suppress(ConnectionError):
        while not writer.is_closing():
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(0.01)


async def asked_before(port: int, *parts: bytes) -> Any:
    """Send the parts after a request that was answered."""
    reader, writer = await sent(port, GET)
    assert await reader.readuntil(b"here")
    for part in parts:
        writer.write(part)
    return reader, writer


async def unread(port: int, path: bytes, *headers: bytes) -> Any:
    """Request a large answer, and read nothing of it."""
    head = b"GET %b HTTP/1.1\r\nHost: h\r\n%b\r\n" % (path, b"".join(headers))
    return await sent(port, head, limit=1)


async def taken(reader: asyncio.StreamReader, max_batch: int, *, pause: float) -> int:
    """Read the whole answer slowly; returns its size in bytes."""
    size = 0
    while piece := await reader.read(max_batch):
        size += len(piece)
        await asyncio.sleep(pause)
    return size


HOSTILE: dict[str, Client] = {
    "no byte": sent,
    "half a head": lambda port: sent(port, GET[:-2]),
    "half a body": lambda port: sent(port, POST, b"half"),
    "a head byte by byte": lambda port: drip(port, b"GET / HTTP/1.1\r\nX: ", b"x"),
    "a header after another": lambda port: drip(port, b"GET / HTTP/1.1\r\n", b"X: y\r\n"),
    "a body byte by byte": lambda port: drip(port, POST, b"x"),
    "chunk by chunk": lambda port: drip(
        port, b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"
    ),
    "idle after a request": asked_before,
    "half a head after a request": lambda port: asked_before(port, GET[:-4]),
    "half a body after a request": lambda port: asked_before(port, POST),
    "an unread stream": lambda port: unread(port, b"/stream"),
    "an unread answer": lambda port: unread(port, b"/large"),
    "the last answer unread": lambda port: unread(port, b"/large", b"Connection: close\r\n"),
    "requests without a look at answers": lambda port: sent(
        port, *[b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n"] * 30, limit=1
    ),
}


def connections(runner: Runner) -> Connections:
    assert isinstance(runner.server, Connections)
    return runner.server


@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_client_that_exceeds_a_time_limit_is_dropped(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(application(), SHORT) as (runner, port):
        client = asyncio.ensure_future(HOSTILE[kind](port))
        await until(lambda: runner.server is not None and bool(connections(runner).open))
        await until(lambda: not connections(runner).open)
        client.cancel()
        with suppress(asyncio.CancelledError, ConnectionError):
            await client
        reader, _ = await sent(port, GET)
        assert await reader.readuntil(b"here")
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_connection_that_waits_for_its_client_is_dropped_for_a_new_one(kind: str) -> None:
    """None of these is timed out."""
    limits = Limits(connections=4, head=999, idle=999, body=999, answer=999)
    async with served(application(), limits) as (runner, port):
        clients = [asyncio.ensure_future(HOSTILE[kind](port)) for _ in range(12)]
        await until(lambda: len(connections(runner).open) == limits.connections)
        for _ in range(12):
            reader, _ = await sent(port, GET)
            assert await reader.readuntil(b"here")
            assert len(connections(runner).open) <= limits.connections
        for each in clients:
            each.cancel()
        await asyncio.gather(*clients, return_exceptions=True)


async def test_a_connection_that_waits_for_the_server_is_not_dropped_for_a_new_one() -> None:
    go = asyncio.Event()
    crowded: list[bool] = []

    async def waiting(request: web.Request) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, Connection)
        crowded.append(connection.crowded)
        if not connection.crowded:
            await go.wait()
        return web.Response(text="here")

    app = web.Application()
    app.router.add_get("/", waiting)
    async with served(app, Limits(connections=3, head=999, tick=0.01, idle=0.01)) as (_, port):
        first = [await sent(port, GET) for _ in range(3)]
        await until(lambda: len(crowded) == 3)
        for _ in range(3):
            reader, _ = await sent(port, GET)
            told = await reader.read()  # up to the end of the connection
            assert b"Connection: close" in told
        assert crowded == [False] * 3 + [True] * 3
        go.set()
        for reader, _ in first:
            assert await reader.readuntil(b"here")


async def test_a_slow_reader_gets_the_whole_answer() -> None:
    async with served(application(), SHORT._replace(answer=9)) as (_, port):
        reader, _ = await unread(port, b"/large", b"Connection: close\r\n")
        assert await taken(reader, 1 << 20, pause=0.03) > LARGE


async def test_a_stream_has_a_maximal_lifetime() -> None:
    async with served(application(), SHORT._replace(stream=0.3)) as (runner, port):
        reader, _ = await sent(port, b"GET /stream HTTP/1.1\r\nHost: h\r\n\r\n")
        await until(lambda: bool(connections(runner).open))
        reading = asyncio.ensure_future(reader.read())
        await until(lambda: not connections(runner).open)
        await asyncio.gather(reading, return_exceptions=True)


async def test_a_slow_body_above_the_minimal_rate_is_accepted() -> None:
    limits = SHORT._replace(body=0.2, rate=20)
    async with served(application(), limits) as (_, port):
        reader, writer = await sent(port, POST)
        for _ in range(50):
            writer.write(b"xx")
            await asyncio.sleep(0.03)
        assert await reader.readuntil(b"here")


async def test_a_body_that_is_not_read_is_answered_and_discarded() -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.Response(status=413, text="too large")

    app = web.Application()
    app.router.add_post("/", refuse)
    async with served(app, Limits(connections=9)) as (_, port):
        head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n\r\n"
        reader, _ = await sent(port, head, b"x" * 5_000_000)
        told = await reader.readuntil(b"too large")
        assert b" 413 " in told
        assert b"Connection: close" in told
        assert await reader.read() == b""


def test_aiohttp_and_faust_still_have_the_private_names_this_leans_on() -> None:
    assert inspect.iscoroutinefunction(AppRunner._make_server)
    assert {"_paused", "_loop", "transport"} <= {*BaseProtocol.__slots__}
    assert "self._kwargs = kwargs" in inspect.getsource(Server.__init__)
    assert "RequestHandler(self, loop=self._loop, **self._kwargs)" in inspect.getsource(Server)
    assert "TCPSite(\n            self._runner" in inspect.getsource(FaustWeb)


async def test_pipelined_requests_are_all_answered_and_few_are_held() -> None:
    """Of any number of pipelined requests, the next is parsed once the one before is answered."""
    go, queued, count = asyncio.Event(), 0, 2_000

    async def waiting(request: web.Request) -> web.StreamResponse:
        nonlocal queued
        connection = request.protocol
        assert isinstance(connection, Connection)
        queued = max(queued, len(connection._messages))
        await go.wait()
        body = await request.read()
        return web.Response(text=request.headers["X-Number"] + body.decode()[:1])

    app = web.Application()
    app.router.add_post("/", waiting)
    async with served(app, Limits(connections=3)) as (runner, port):
        reader, writer = await sent(port)
        for number in range(count):
            body = b"x" * (number % 700)
            writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nX-Number: %d\r\n" % number)
            writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        # If the first bytes hold 32 requests and fit in one piece, nothing is held but in aiohttp.
        await until(lambda: any(_has_stopped_reading(each) for each in connections(runner).open))
        (connection,) = connections(runner).open
        assert connections(runner).held == len(connection._pipelined) < 1 << 20
        go.set()
        for number in range(count):
            assert await reader.readuntil(b"\r\n\r\n")
            told = b"%d%b" % (number, b"x" if number % 700 else b"")
            assert await reader.readexactly(len(told)) == told
        await until(lambda: connections(runner).held == 0)
    assert queued <= 32


def _has_stopped_reading(connection: Connection) -> bool:
    return connection.transport is not None and not connection.transport.is_reading()


HEADS = {
    "a long URL": (414, b"GET /?%b HTTP/1.1\r\nHost: h\r\n\r\n" % (b"x" * 9_000)),
    "a long line": (431, b"GET / HTTP/1.1\r\nHost: h\r\nX: %b\r\n\r\n" % (b"x" * 9_000)),
    "many lines": (431, b"GET / HTTP/1.1\r\n%b\r\n" % (b"X: y\r\n" * 200)),
    "long lines": (431, b"GET / HTTP/1.1\r\n%b\r\n" % (b"X: %b\r\n" % (b"y" * 8_000) * 20)),
    "long lines without an end": (
        431,
        b"GET / HTTP/1.1\r\n%b" % (b"X: %b\r\n" % (b"y" * 800) * 90),
    ),
    "an odd wish": (417, b"GET / HTTP/1.1\r\nHost: h\r\nExpect: \xff\r\n\r\n"),
    "no HTTP": (400, b"HELO there\r\n\r\n"),
}


@pytest.mark.parametrize("kind", HEADS)
async def test_a_refused_head_is_answered_with_the_reason(kind: str) -> None:
    status, head = HEADS[kind]
    async with served(application(), Limits(connections=3)) as (_, port):
        reader, _ = await sent(port, head)
        assert b" %d " % status in await reader.readline()
        assert b"application/problem+json" in await reader.readuntil(b"\r\n\r\n")


async def test_a_head_after_an_upgrade_that_was_declined_is_no_longer_than_others() -> None:
    upgrade = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    async with served(application(), SHORT._replace(head=9, idle=9)) as (_, port):
        reader, writer = await sent(port, upgrade + GET)
        for _ in range(2):
            assert b" 200 " in await reader.readuntil(b"here")
        lines = b"".join(b"X-%d: %b\r\n" % (n, b"x" * 4_000) for n in range(15))
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n" + lines + b"\r\n")
        assert b" 431 " in await reader.readline()


async def test_a_head_of_the_maximal_size_is_accepted() -> None:
    lines = b"".join(b"X-%d: %b\r\n" % (number, b"y" * 7_900) for number in range(4))
    async with served(application(), Limits(connections=3)) as (_, port):
        reader, _ = await sent(port, b"GET / HTTP/1.1\r\nHost: h\r\n%b\r\n" % lines)
        assert await reader.readuntil(b"here")


async def test_too_much_framing_around_a_body_is_refused() -> None:
    async def read(request: web.Request) -> web.StreamResponse:
        try:
            await request.read()
        except BodyTooLarge:
            return web.Response(status=413)
        return web.Response()

    app = web.Application()
    app.router.add_post("/", read)
    async with served(app, Limits(connections=3, body_size=100_000)) as (_, port):
        head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        reader, _ = await sent(port, head, *[b"1;%b\r\nx\r\n" % (b"y" * 5_000)] * 30)
        assert b" 413 " in await reader.readline()


async def test_a_slow_client_gets_the_whole_answer_and_a_stalled_one_is_dropped() -> None:
    limits = SHORT._replace(answer=0.2, rate=4e6)
    async with served(application(), limits) as (runner, port):
        reader, writer = await unread(port, b"/large", b"Connection: close\r\n")
        assert await taken(reader, 1 << 18, pause=0.02) > LARGE
        writer.close()
        reader, _ = await unread(port, b"/large")
        await until(lambda: bool(connections(runner).open))
        taking = asyncio.ensure_future(taken(reader, 1_000, pause=0.02))
        await until(lambda: not connections(runner).open)
        taking.cancel()


def unreadable() -> float:
    labels = {"route": "(none)", "method": "(other)", "status": "400"}
    return registry.get_sample_value("fraud_http_requests_total", labels) or 0


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 3\r\nTransfer-Encoding: chunked", b"Content-Length: x"]
)
async def test_an_unreadable_request_is_answered_and_counted(
    framing: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, AUDIT)
    before = unreadable()
    async with served(application(), SHORT) as (_, port):
        reader, _ = await sent(port, b"POST / HTTP/1.1\r\nHost: h\r\n%b\r\n\r\n" % framing)
        assert b" 400 Bad Request" in await reader.readline()
    line = next(each.__dict__ for each in caplog.records if each.name == AUDIT)
    assert (line["address"], line["status"]) == ("127.0.0.1", 400)
    assert {line[name] for name in ("key", "method", "path", "transactions")} == {None}
    assert unreadable() == before + 1
