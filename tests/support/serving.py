"""Serves an application over real connections, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from aiohttp import web

from web.limits import Limits
from web.runner import Runner

_writers: list[asyncio.StreamWriter] = []


@asynccontextmanager
async def served(app: web.Application, limits: Limits) -> AsyncIterator[tuple[Runner, int]]:
    """Serve the application on a free local port; yields its runner and the port."""
    runner = Runner(app, lambda: limits)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner, runner.addresses[0][1]
    finally:
        for writer in _writers:
            writer.transport.abort()
        for writer in _writers:
            with suppress(ConnectionError):
                await writer.wait_closed()
        _writers.clear()
        await runner.cleanup()


async def sent(
    port: int, *parts: bytes, limit: int = 1 << 16
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection that buffers `limit` bytes of answers, and send the parts."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=limit)
    _writers.append(writer)
    for part in parts:
        writer.write(part)
        await writer.drain()
    return reader, writer


async def until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds."""
    while not condition():
        await asyncio.sleep(0.01)
