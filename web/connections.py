"""All connections of a server: the place where one is dropped to make room for others."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, cast

from aiohttp.web import BaseRequest, HTTPException, HTTPExpectationFailed, StreamResponse
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_server import Server

from fraudapp.process import traces
from web.connection import Connection
from web.limits import Limits
from web.problems import of_http
from web.tracing import begun

Middleware = Callable[..., Awaitable[StreamResponse]]


class Connections(Server):
    """The pool of connections; `Connection` calls it through the protocol `Pool`."""

    def __init__(
        self, server: Server, limits: Limits, around: Sequence[Middleware], **kwargs: Any
    ) -> None:
        """Serve the requests of `server`; `kwargs` are those of each connection.

        `around` are middlewares that every request passes, the first of them first.
        """
        super().__init__(self._handle, request_factory=server.request_factory, **kwargs)
        self.open: OrderedDict[Connection, None] = OrderedDict()
        """The open connections; the one that has been without a request for longest comes first."""
        self.held = 0
        """Bytes of bodies and pipelined requests that all connections hold in memory."""
        self._handler: Any = partial(_answered, server.request_handler)
        for middleware in reversed(around):
            self._handler = partial(middleware, handler=self._handler)
        self.limits: Final = limits
        self._next = self._loop.call_later(limits.tick, self._tick)

    def __call__(self) -> RequestHandler:
        """Return the protocol of a new connection."""
        return Connection(self, self, loop=self._loop, **self._kwargs)

    @property
    def full(self) -> bool:
        """Whether more connections are open than there may be."""
        return len(self.open) > self.limits.connections

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Take a new connection; drop the one that has waited longest for its client if full.

        If every client waits for the server, the oldest stream is dropped, whose reader reconnects.
        If there is no stream either, the new connection is over the limit.
        """
        super().connection_made(handler, transport)
        connection = cast(Connection, handler)
        others = list(self.open) if len(self.open) >= self.limits.connections else []
        self.open[connection] = None
        if self.full and not (
            _drop_first(others, lambda each: each.waits_for() is not None)
            or _drop_first(others, lambda each: each.stream_ends is not None)
        ):
            connection.over_limit = True

    def has_room_to_hold(self, connection: Connection) -> bool:
        """Whether `held` is within its limit; drops slow bodies of other connections for that."""
        while self.held > self.limits.held:
            others = (each for each in list(self.open) if each is not connection)
            if not _drop_first(others, lambda each: each.waits_for() == "body"):
                return False
        return True

    async def shutdown(self, timeout: float | None = None) -> None:
        """See `Server`."""
        self._next.cancel()
        await super().shutdown(timeout)

    async def _handle(self, request: BaseRequest) -> StreamResponse:
        connection = cast(Connection, request.protocol)
        connection.begin(request)
        trace = begun(request.headers)
        traces.enter(trace)
        try:
            return cast(StreamResponse, await self._handler(request))
        finally:
            trace.ended = True
            connection.end()

    def _tick(self) -> None:
        now = self._loop.time()
        for each in list(self.open):
            each.check(now, self.limits)
        self._next = self._loop.call_later(self.limits.tick, self._tick)


async def _answered(handler: Any, request: BaseRequest) -> StreamResponse:
    try:
        return cast(StreamResponse, await handler(request))
    except HTTPException as exc:  # aiohttp raises it itself, before any middleware of the app
        return of_http(exc, request).response()
    except UnicodeEncodeError:  # aiohttp's answer to `Expect` quotes the header, which is no text
        return of_http(HTTPExpectationFailed(), request).response()


def _drop_first(connections: Iterable[Connection], condition: Callable[[Connection], bool]) -> bool:
    """Drop the first connection that meets the condition; false if there is none."""
    for each in connections:
        if condition(each):
            each.drop()
            return True
    return False
