"""Runs an aiohttp application behind `Connections`, which aiohttp has no option for."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from aiohttp import hdrs
from aiohttp.web import Application, AppRunner, BaseRequest, StreamResponse
from aiohttp.web_server import Server

from web.connection import Connection
from web.connections import Connections, Middleware
from web.limits import LINGERING_SECONDS, MAX_HEADERS, MAX_LINE_BYTES, MAX_URL_BYTES, Limits


class Runner(AppRunner):
    """Runs an application with limits on its connections.

    Bodies are not decompressed here: `web.bodies` does that in short steps.
    """

    def __init__(self, app: Application, limits: Callable[[], Limits]) -> None:
        """`limits` is called once, when the server starts."""
        super().__init__(
            app,
            access_log=None,
            auto_decompress=False,
            lingering_time=LINGERING_SECONDS,
            max_line_size=MAX_URL_BYTES,
            max_field_size=MAX_LINE_BYTES,
            max_headers=MAX_HEADERS,
        )
        self._limits = limits
        self.around: list[Middleware] = []
        """Middlewares for every request, even one that reaches no middleware of the application."""
        app.on_response_prepare.append(_close_if_unread_or_crowded)

    async def _make_server(self) -> Server:
        server = await super()._make_server()
        return Connections(server, self._limits(), self.around, loop=server._loop, **server._kwargs)


async def _close_if_unread_or_crowded(request: BaseRequest, response: StreamResponse) -> None:
    """Make this answer the last if the body is not read to its end, or the server is full."""
    connection = cast(Connection, request.protocol)
    unread = not request.content.is_eof()
    if unread:
        connection.discard_rest()
    if unread or connection.crowded:
        response.force_close()
        response.headers[hdrs.CONNECTION] = "close"
