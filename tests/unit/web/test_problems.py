"""Errors are answered with a problem, unless a part of the answer was sent already."""

from __future__ import annotations

import logging
from contextlib import suppress

import pytest
from aiohttp import web

from fraudapp.sinks.base import SinkUnavailable
from tests.support.serving import sent, served
from web.limits import Limits
from web.problems import Problem, problems

GET = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
LIMITS = Limits(connections=10)
ERRORS = [RuntimeError("no disk"), SinkUnavailable("gone"), Problem(404, "no"), web.HTTPGone()]


def failing(exc: Exception, *begun: bytes) -> web.Application:
    """An application whose handler fails, after a part of its answer if one is given."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if begun:
            response = web.StreamResponse()
            await response.prepare(request)
            for each in filter(None, begun):
                await response.write(each)
        raise exc

    app = web.Application(middlewares=[problems])
    app.router.add_get("/", answer)
    return app


@pytest.mark.parametrize("begun", [b"", b"data: 1\n\n"])
@pytest.mark.parametrize("exc", ERRORS, ids=lambda exc: type(exc).__name__)
async def test_an_answer_that_fails_after_its_beginning_is_aborted(
    exc: Exception, begun: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with served(failing(exc, begun), LIMITS) as (_, port):
        reader, _ = await sent(port, GET)
        got = b""
        with suppress(ConnectionError):
            while some := await reader.read(1 << 16):
                got += some
    assert got.count(b"HTTP/1.1") == 1
    assert not got.endswith(b"0\r\n\r\n")  # which would make the answer look complete
    assert [each.levelname for each in caplog.records if "fail" in each.message] == ["ERROR"]
    assert "no HTTP request" not in caplog.text


@pytest.mark.parametrize(("exc", "status"), [*zip(ERRORS, (500, 503, 404, 410), strict=True)])
async def test_before_there_is_an_answer_it_is_a_problem(exc: Exception, status: int) -> None:
    async with served(failing(exc), LIMITS) as (_, port):
        reader, _ = await sent(port, GET)
        head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"application/problem+json" in head
