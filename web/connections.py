"""Connections: how many there may be, and how long each may let the server wait.

aiohttp knows no time limit but one between two requests, and takes every connection there is a file
for; the last of them would then be missing in RocksDB, which ends the worker.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, Literal, NamedTuple, cast

from aiohttp import hdrs
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong
from aiohttp.web import (
    Application,
    AppRunner,
    BaseRequest,
    HTTPException,
    HTTPExpectationFailed,
    RequestPayloadError,
    StreamResponse,
)
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_server import Server
from multidict import CIMultiDict

from fraudapp.metrics import http_requests
from fraudapp.process import traces
from fraudapp.process.logs import AUDIT
from web.headers import HEADERS
from web.problems import Problem, of_http
from web.tracing import begun, headers

audit = logging.getLogger(AUDIT)

LINGERING: Final = 2.0
"""Seconds in which a client may go on sending what is not read, to find the answer then."""
MOST_UNREAD: Final = 8 << 20
"""Bytes of it."""
AT_ONCE: Final = 16 << 10
"""Bytes that are looked at before the requests among them are answered."""
LONGEST_URL: Final = 8_000
LONGEST_LINE: Final = 8_190
MOST_HEADERS: Final = 128
STREAM_BUFFER: Final = 16 << 10
"""Bytes under way to whoever reads a stream: one that does not read shows sooner."""

Middleware = Callable[..., Awaitable[StreamResponse]]
Phase = Literal["head", "idle", "body", "answer"]
"""What a client is waited for: to send, to ask again, to send the rest, to take the answer."""


class Limits(NamedTuple):
    """What connections may take; times are in seconds."""

    connections: int
    held: int = 64 << 20
    """Bytes of bodies that are not answered yet, and of what came before its turn."""
    head_size: int = 32 << 10
    """Bytes of the head of a request; browsers and proxies stay below 16 KiB."""
    body_size: int = 4 << 20
    """Bytes of a body as it is sent, with all that is around its chunks."""
    head: float = 15.0
    """Until the head of a request is there, since its first byte, or since there is somebody."""
    idle: float = 75.0
    """Between two requests; load balancers mostly end it after 60."""
    body: float = 20.0
    """Until the body is there,"""
    answer: float = 15.0
    """Until an answer is taken,"""
    rate: float = 10_000.0
    """and one second more for so many bytes of a body or an answer."""
    stream: float = 240.0
    """For which a stream goes on: one that is not read looks well until all buffers are full."""
    tick: float = 1.0
    """Between two looks at all connections."""


class TooSlow(Exception):
    """The client took too long to send the body."""


class TooMuch(Exception):
    """The client sent more around the body than any body needs."""


class Connection(RequestHandler):
    """One connection, and what it waits for."""

    def __init__(self, manager: Connections, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self.beyond = False
        """Whether it was one more than there may be, and none could be ended for it."""
        self.stream_ends: float | None = None
        """When its answer has to end, in the loop's time, if it has no end of its own."""
        self._all = manager
        self._link: asyncio.Transport | None = None  # aiohttp forgets its own before it has ended
        self._request: BaseRequest | None = None
        self._phase: Phase = "head"
        self._since = self._loop.time()
        self._taken = 0  # bytes, since then
        self._to_send = 0  # bytes, since then at most
        self._ahead = b""  # what came before its turn
        self._held = 0
        self._unread: int | None = None  # bytes, once no more of them are looked at
        self._told = False

    @property
    def crowded(self) -> bool:
        """Whether there is no room for it."""
        return self.beyond and self._all.full

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._link = cast(asyncio.Transport, transport)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """See `asyncio.Protocol`."""
        self._all.open.pop(self, None)
        self._let_go(self._held)
        self._ahead = b""
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`; what comes before its turn is held back, and no more is read."""
        if self._unread is not None:
            self._unread += len(data)
            if self._unread > MOST_UNREAD:
                self.drop()
        elif not data:  # aiohttp asks itself to go on with what it has
            super().data_received(data)
        elif self._ahead:
            self._hold_back(data)
        else:
            self._take(data)

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        super().pause_writing()
        self._since, self._to_send = self._loop.time(), 0

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        super().resume_writing()
        self._since, self._to_send = self._loop.time(), 0

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log what aiohttp cannot deal with, but for what a client has done."""
        of_client = TooSlow, TooMuch, RequestPayloadError, ConnectionError
        if not isinstance(kw.get("exc_info"), of_client):
            super().log_exception(*args, **kw)

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> StreamResponse:
        """Answer what cannot be read as HTTP at all; it never comes to a middleware."""
        trace = traces.current() or begun(CIMultiDict())
        traces.enter(trace)
        if request.writer.output_size > 0:
            raise ConnectionError("a part of the answer was sent already")
        status, detail = self._told_of(status, exc)
        if status < 500:
            _tell_of_unreadable(request, status, exc)
        response = Problem(status, detail, headers={**HEADERS, **headers(trace)}).response()
        response.force_close()
        return response

    def begin(self, request: BaseRequest) -> None:
        """Note that there is a request."""
        self._request = request
        self._enter("body")
        self._take_ahead()

    def end(self) -> None:
        """Note that it is dealt with; the answer is still to be sent."""
        self._request = None
        self.stream_ends = None
        self._let_go(self._held - len(self._ahead))
        self._enter("idle")
        self._take_ahead()
        if self in self._all.open:
            self._all.open.move_to_end(self)

    def hold(self, size: int) -> bool:
        """Note that so many bytes of the body are held; false if there is no room for them."""
        self._held += size
        self._all.held += size
        return self._all.has_room_to_hold(self)

    def stream(self) -> float:
        """Note that the answer has no end of its own, and let little of it be under way.

        Returns when it has to end, in the loop's time; later the connection is ended.
        """
        self.stream_ends = self._loop.time() + self._all.limits.stream
        if self._link is not None:
            self._link.set_write_buffer_limits(high=STREAM_BUFFER)
            self._set_option(socket.SO_SNDBUF, STREAM_BUFFER)
        return self.stream_ends

    def read_no_more(self) -> None:
        """Throw away what comes from now on; the client finds the answer once it has sent it."""
        self._let_go(len(self._ahead))
        self._unread, self._ahead = len(self._ahead), b""
        self._resume_transport_reading()

    def drop(self) -> None:
        """End it now."""
        self._all.open.pop(self, None)
        self._let_go(self._held)
        self._ahead = b""
        if self._link is not None:
            if self._paused or self.stream_ends is not None:
                # Or the system would go on for minutes to enqueue what nobody takes.
                self._set_option(socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._link.abort()

    def waits_for(self) -> Phase | None:
        """What the client has to do; None if it is the client who waits."""
        if self._paused or (self._link is not None and self._link.is_closing()):
            return "answer"
        if self._request is None:
            return self._phase
        return None if self._request.content.is_eof() else "body"

    def check(self, now: float, limits: Limits) -> None:
        """End what takes longer than it may."""
        if self.stream_ends is not None and now > self.stream_ends + limits.answer:
            self.drop()
            return
        phase = self.waits_for()
        if phase is None:
            return
        allowed: float = getattr(limits, phase)
        if phase == "body":
            allowed += self._taken / limits.rate
        elif phase == "answer" and self._link is not None:
            left = self._link.get_write_buffer_size()
            self._to_send = max(self._to_send, left)
            allowed += (self._to_send - left) / limits.rate
        if now - self._since <= allowed:
            return
        if phase == "body" and self._request is not None and not self._told:
            self._since = now
            self._tell(TooSlow())
        else:
            self.drop()

    def _take(self, data: bytes) -> None:
        """Let aiohttp have what it can deal with now."""
        limits, start = self._all.limits, 0
        while start < len(data) and not self._is_busy() and self._unread is None:
            piece = data[start : start + AT_ONCE]
            start += len(piece)
            if self._phase == "idle":
                self._enter("head")
            self._taken += len(piece)
            super().data_received(piece)
            if self._request is None and not self._messages:
                if self._taken > limits.head_size:
                    self._refuse_head()
                    return
            elif self._phase == "body" and self._taken > limits.body_size and not self._told:
                self._tell(TooMuch())
        if start >= len(data):
            self._resume_transport_reading()
        elif self._unread is None:
            self._hold_back(data[start:])

    def _is_busy(self) -> bool:
        """Whether there is a request that is whole, or one that nobody has begun with."""
        return bool(self._messages) or (
            self._request is not None and self._request.content.is_eof()
        )

    def _hold_back(self, data: bytes) -> None:
        self._ahead += data
        self._pause_transport_reading()
        if not self.hold(len(data)):
            self.drop()

    def _take_ahead(self) -> None:
        data, self._ahead = self._ahead, b""
        if data:
            self._let_go(len(data))
            self._take(data)

    def _resume_transport_reading(self) -> None:
        if not (self._ahead or self._reading_paused or self._buffer_paused):
            super()._resume_transport_reading()

    def _refuse_head(self) -> None:
        """Have aiohttp end the connection with an answer: no head goes on like this."""
        super().data_received(b"\0")

    def _told_of(self, status: int, exc: BaseException | None) -> tuple[int, str]:
        """What is answered to what aiohttp cannot read."""
        if status >= 500:
            return status, "an error on our side"
        size = self._all.limits.head_size
        if isinstance(exc, LineTooLong) and exc.args[1] == LONGEST_URL:
            return 414, f"a URL is at most {LONGEST_URL:,} bytes"
        many = isinstance(exc, BadHttpMessage) and exc.message.startswith("Too many headers")
        if self._taken > size or many or isinstance(exc, LineTooLong):
            what = f"{size:,} bytes, of {LONGEST_LINE:,} in a line, and {MOST_HEADERS} headers"
            return 431, f"the head of a request has at most {what}"
        return status, "this is not a valid HTTP request"

    def _tell(self, exc: Exception) -> None:
        """Let whoever reads the body answer."""
        self._told = True
        if self._request is not None:
            self._request.content.set_exception(exc)

    def _set_option(self, option: int, value: int | bytes) -> None:
        with suppress(OSError):
            end: socket.socket = cast(asyncio.Transport, self._link).get_extra_info("socket")
            end.setsockopt(socket.SOL_SOCKET, option, value)

    def _let_go(self, size: int) -> None:
        self._all.held -= size
        self._held -= size

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._since = self._loop.time()
        self._taken = self._to_send = 0


class Connections(Server):
    """All connections there are."""

    def __init__(
        self, server: Server, limits: Limits, around: Sequence[Middleware], **kwargs: Any
    ) -> None:
        """Serve what `server` would; `kwargs` are those of each connection."""
        super().__init__(self._handle, request_factory=server.request_factory, **kwargs)
        self.open: OrderedDict[Connection, None] = OrderedDict()
        """The one that has been without a request for the longest time is the first."""
        self.held = 0
        """Bytes of bodies."""
        self._handler: Any = partial(_answered, server.request_handler)
        for each in reversed(around):
            self._handler = partial(each, handler=self._handler)
        self.limits: Final = limits
        self._next = self._loop.call_later(limits.tick, self._tick)

    def __call__(self) -> RequestHandler:
        """Return what deals with a new connection."""
        return Connection(self, loop=self._loop, **self._kwargs)

    @property
    def full(self) -> bool:
        """Whether there are more connections than there may be."""
        return len(self.open) > self.limits.connections

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Take a new one; the one that has waited longest for its client makes room for it.

        If there is none, the oldest stream goes, whose reader will come again.
        """
        super().connection_made(handler, transport)
        connection = cast(Connection, handler)
        others = list(self.open) if len(self.open) >= self.limits.connections else []
        self.open[connection] = None
        if self.full and not (
            _drop_first(others, lambda each: each.waits_for() is not None)
            or _drop_first(others, lambda each: each.stream_ends is not None)
        ):
            connection.beyond = True

    def has_room_to_hold(self, connection: Connection) -> bool:
        """Whether all that is held is not too much, without the slowest bodies of others."""
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


class Runner(AppRunner):
    """Runs an application with limits to its connections; bodies come as they were sent, packed."""

    def __init__(self, app: Application, limits: Callable[[], Limits]) -> None:
        super().__init__(
            app,
            access_log=None,
            auto_decompress=False,
            lingering_time=LINGERING,
            max_line_size=LONGEST_URL,
            max_field_size=LONGEST_LINE,
            max_headers=MOST_HEADERS,
        )
        self._limits = limits
        self.around: list[Middleware] = []
        """What all requests pass, those too that come to no middleware of the application."""
        app.on_response_prepare.append(_close_behind)

    async def _make_server(self) -> Server:
        server = await super()._make_server()
        return Connections(server, self._limits(), self.around, loop=server._loop, **server._kwargs)


async def _answered(handler: Any, request: BaseRequest) -> StreamResponse:
    try:
        return cast(StreamResponse, await handler(request))
    except HTTPException as exc:  # aiohttp's own, before any middleware
        return of_http(exc, request).response()
    except UnicodeEncodeError:  # its own answer holds what was expected, even if that is no text
        return of_http(HTTPExpectationFailed(), request).response()


async def _close_behind(request: BaseRequest, response: StreamResponse) -> None:
    """Let an answer be the last where the request is not read to its end, or there is no room."""
    connection = cast(Connection, request.protocol)
    unread = not request.content.is_eof()
    if unread:
        connection.read_no_more()
    if unread or connection.crowded:
        response.force_close()
        response.headers[hdrs.CONNECTION] = "close"


def _tell_of_unreadable(request: BaseRequest, status: int, exc: BaseException | None) -> None:
    """Count it, and write its line: it may have been meant to write."""
    http_requests.labels("(none)", "(other)", str(status)).inc()
    audit.info(
        "audit: %s sent what is no HTTP request (%s): %s",
        request.remote,
        type(exc).__name__,
        status,
        extra={
            **dict.fromkeys(("key", "method", "path", "transactions")),
            "address": request.remote,  # whom a proxy has asked for cannot be read either
            "status": status,
        },
    )


def _drop_first(connections: Any, condition: Callable[[Connection], bool]) -> bool:
    """End the first of them for which this holds; false if there is none."""
    for each in connections:
        if condition(each):
            each.drop()
            return True
    return False
