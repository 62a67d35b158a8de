"""One HTTP connection: which phase it is in, and when its client has taken too long.

aiohttp parses pipelined requests before their turn and queues them. This protocol instead hands it
one request after the other, and measures each phase of a request by its own time limit.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import OrderedDict
from contextlib import suppress
from typing import Any, Literal, Protocol, cast

from aiohttp.web import BaseRequest, RequestPayloadError, StreamResponse
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_server import Server

from web import unreadable
from web.limits import MAX_DISCARDED_BYTES, PIECE_BYTES, STREAM_BUFFER_BYTES, Limits

Phase = Literal["head", "idle", "body", "answer"]
"""The client has to send a head, begin the next request, send the body, or take the answer.

Each is the name of its time limit in `Limits`.
"""


class BodyTooSlow(Exception):
    """The client took too long to send the body."""


class BodyTooLarge(Exception):
    """The client sent more bytes of framing around the body than any body needs."""


class Pool(Protocol):
    """The connections of a server, as far as each of them has to know of the others."""

    open: OrderedDict[Connection, None]
    """The open connections; the one that has been without a request for longest comes first."""
    held: int
    """Bytes of bodies and pipelined requests that all connections hold in memory."""

    @property
    def limits(self) -> Limits:
        """The limits of the server."""

    @property
    def full(self) -> bool:
        """Whether more connections are open than there may be."""

    def has_room_to_hold(self, connection: Connection) -> bool:
        """Whether `held` is within its limit; drops slow bodies of other connections for that."""


class Connection(RequestHandler):
    """One connection; its methods run on the event loop and never block."""

    def __init__(self, server: Server, pool: Pool, **kwargs: Any) -> None:
        """`kwargs` are those of `RequestHandler`."""
        super().__init__(server, **kwargs)
        self.over_limit = False
        """Whether it was accepted beyond the limit, and no other could be dropped for it."""
        self.stream_ends: float | None = None
        """When its answer has to end, in the loop's time; None if the answer is no stream."""
        self._pool = pool
        # aiohttp clears its own `transport` while the last bytes are still being sent.
        self._own_transport: asyncio.Transport | None = None
        self._request: BaseRequest | None = None
        self._begun = 0  # requests
        self._phase: Phase = "head"
        self._since = self._loop.time()  # when the phase began
        self._received = 0  # bytes in this phase
        self._max_unsent = 0  # the most bytes in the write buffer in this phase
        self._pipelined = b""  # pipelined requests, before their turn
        self._held = 0  # bytes of the body and of `_pipelined`
        self._discarded: int | None = None  # bytes; None as long as nothing is discarded
        self._is_body_refused = False

    @property
    def crowded(self) -> bool:
        """Whether it is beyond the limit, and the server is still full."""
        return self.over_limit and self._pool.full

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._own_transport = cast(asyncio.Transport, transport)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """See `asyncio.Protocol`."""
        self._pool.open.pop(self, None)
        self._release(self._held)
        self._pipelined = b""
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`; keeps pipelined requests back, and stops reading meanwhile."""
        if self._discarded is not None:
            self._discarded += len(data)
            if self._discarded > MAX_DISCARDED_BYTES:
                self.drop()
        elif not data:  # aiohttp calls this itself, to go on with the bytes it has
            super().data_received(data)
        elif self._pipelined:
            self._hold_pipelined(data)
        else:
            self._parse(data)

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        super().pause_writing()
        self._since, self._max_unsent = self._loop.time(), 0

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        super().resume_writing()
        self._since, self._max_unsent = self._loop.time(), 0

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log errors that aiohttp cannot handle, except those that the client has caused."""
        of_client = BodyTooSlow, BodyTooLarge, RequestPayloadError, ConnectionError
        if not isinstance(kw.get("exc_info"), of_client):
            super().log_exception(*args, **kw)

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> StreamResponse:
        """Answer bytes that are no HTTP request; see `unreadable.answer`."""
        return unreadable.answer(
            request,
            status,
            exc,
            received=self._received,
            head_size=self._pool.limits.head_size,
        )

    def begin(self, request: BaseRequest) -> None:
        """Note that a request has begun; the pool calls this before any handler."""
        self._request = request
        self._begun += 1
        self._enter("body")
        self._parse_pipelined()

    def end(self) -> None:
        """Note that the handler of the request has returned; its answer may still be unsent."""
        self._request = None
        self.stream_ends = None
        self._release(self._held - len(self._pipelined))
        self._enter("idle")
        self._parse_pipelined()
        if self in self._pool.open:
            self._pool.open.move_to_end(self)

    def hold(self, size: int) -> bool:
        """Note that `size` more bytes are held in memory; false if there is no room for them."""
        self._held += size
        self._pool.held += size
        return self._pool.has_room_to_hold(self)

    def stream(self) -> float:
        """Note that the answer is a stream, and make its write buffers small.

        Returns when the stream has to end, in the loop's time. Later the connection is dropped.
        """
        self.stream_ends = self._loop.time() + self._pool.limits.stream
        if self._own_transport is not None:
            self._own_transport.set_write_buffer_limits(high=STREAM_BUFFER_BYTES)
            self._set_option(socket.SO_SNDBUF, STREAM_BUFFER_BYTES)
        return self.stream_ends

    def discard_rest(self) -> None:
        """Discard all bytes from now on. Many clients look for an answer only once all is sent."""
        self._release(len(self._pipelined))
        self._discarded, self._pipelined = len(self._pipelined), b""
        self._resume_transport_reading()

    def drop(self) -> None:
        """Abort the connection at once."""
        self._pool.open.pop(self, None)
        self._release(self._held)
        self._pipelined = b""
        if self._own_transport is not None:
            if self._paused or self.stream_ends is not None:
                # Reset instead of closing: the kernel would go on sending for minutes to a client
                # that takes nothing.
                self._set_option(socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._own_transport.abort()

    def waits_for(self) -> Phase | None:
        """What the client has to do next; None while the client waits for the server."""
        if self._paused or (self._own_transport is not None and self._own_transport.is_closing()):
            return "answer"
        if self._request is None:
            return self._phase
        return None if self._request.content.is_eof() else "body"

    def check(self, now: float, limits: Limits) -> None:
        """End what has taken longer than its limit; `now` is in the loop's time.

        A body that is too slow fails with `BodyTooSlow` first, so that its reader can answer 408.
        """
        if self.stream_ends is not None and now > self.stream_ends + limits.answer:
            self.drop()
            return
        phase = self.waits_for()
        if phase is None:
            return
        allowed: float = getattr(limits, phase)
        if phase == "body":
            allowed += self._received / limits.rate
        elif phase == "answer" and self._own_transport is not None:
            unsent = self._own_transport.get_write_buffer_size()
            self._max_unsent = max(self._max_unsent, unsent)
            allowed += (self._max_unsent - unsent) / limits.rate
        if now - self._since <= allowed:
            return
        if phase == "body" and self._request is not None and not self._is_body_refused:
            self._since = now
            self._refuse_body(BodyTooSlow())
        else:
            self.drop()

    def _parse(self, data: bytes) -> None:
        """Give aiohttp the bytes up to the end of one request, and hold the rest."""
        limits, start = self._pool.limits, 0
        while start < len(data) and not self._is_busy() and self._discarded is None:
            piece = data[start : start + PIECE_BYTES]
            start += len(piece)
            if self._phase == "idle":
                self._enter("head")
            self._received += len(piece)
            super().data_received(piece)
            if self._request is None and not self._is_awaited():
                if self._received > limits.head_size:
                    self._refuse_head()
                    return
            elif (
                self._phase == "body"
                and self._received > limits.body_size
                and not self._is_body_refused
            ):
                self._refuse_body(BodyTooLarge())
        if start >= len(data):
            self._resume_transport_reading()
        elif self._discarded is None:
            self._hold_pipelined(data[start:])

    def _is_awaited(self) -> bool:
        """Whether a head is parsed whose request has not begun.

        aiohttp takes a request from its queue some steps of the loop before its handler begins, and
        what comes meanwhile is not of the next head.
        """
        return self._request_count > self._begun

    def _is_busy(self) -> bool:
        """Whether a request has arrived completely, or one waits for its handler."""
        return self._is_awaited() or (self._request is not None and self._request.content.is_eof())

    def _hold_pipelined(self, data: bytes) -> None:
        self._pipelined += data
        self._pause_transport_reading()
        if not self.hold(len(data)):
            self.drop()

    def _parse_pipelined(self) -> None:
        data, self._pipelined = self._pipelined, b""
        if data:
            self._release(len(data))
            self._parse(data)

    def _resume_transport_reading(self) -> None:
        if not (self._pipelined or self._reading_paused or self._buffer_paused):
            super()._resume_transport_reading()

    def _refuse_head(self) -> None:
        """Make aiohttp answer with an error and close: no valid head has a NUL byte."""
        super().data_received(b"\0")

    def _refuse_body(self, exc: Exception) -> None:
        """Raise `exc` in the handler that reads the body, which then answers."""
        self._is_body_refused = True
        if self._request is not None:
            self._request.content.set_exception(exc)

    def _set_option(self, option: int, value: int | bytes) -> None:
        with suppress(OSError):
            transport = cast(asyncio.Transport, self._own_transport)
            end: socket.socket = transport.get_extra_info("socket")
            end.setsockopt(socket.SOL_SOCKET, option, value)

    def _release(self, size: int) -> None:
        """Note that `size` bytes are no longer held in memory."""
        self._pool.held -= size
        self._held -= size

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._since = self._loop.time()
        self._received = self._max_unsent = 0
