"""Views of the whole cluster's state: counts, details, and a stream of details."""

from __future__ import annotations

import asyncio
from asyncio import FIRST_COMPLETED
from contextlib import suppress
from typing import Any, Final, cast

from aiohttp import web as aiohttp_web
from faust import web

from web.context import Context
from web.negotiation import wants_page
from web.views import View, route

STREAM_INTERVAL: Final = 1.0
"""Seconds between two events of the stream."""
STALL_TIMEOUT: Final = 10.0
"""Seconds after which the connection of a client that takes no event is aborted."""


@route("/stats", name="stats")
class Stats(View):
    """The decision counts: a page for people, JSON for programs."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer the counts, or the page if a browser asks."""
        if wants_page(request):
            return self.page("stats.html")
        return self.answer(self.context.overview.stats())


@route("/stats/details", name="stats-details")
class Details(View):
    """All that the page shows, as JSON."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer counts, rates, scores, latest blocks, partitions, workers and sinks."""
        return self.bytes(self.context.overview.encoded_details(), content_type="application/json")


@route("/stats/stream", name="stats-stream")
class Stream(View):
    """The details as server-sent events, for some minutes; readers reconnect then."""

    async def get(self, request: web.Request) -> web.Response:
        """Send the details once every `STREAM_INTERVAL`."""
        self.context.overview.encoded_details()  # raises while an error can still be answered
        response = aiohttp_web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        )
        await response.prepare(cast(aiohttp_web.Request, request))
        if cast(Any, request).method != "HEAD":
            ends = cast(Any, request).protocol.stream()
            with suppress(ConnectionResetError):  # the client has disconnected
                if not await _send_until(
                    ends, self.context, cast(aiohttp_web.Request, request), response
                ):
                    cast(Any, request).transport.abort()
        return cast(web.Response, response)


async def _send_until(
    ends: float,
    context: Context,
    request: aiohttp_web.Request,
    response: aiohttp_web.StreamResponse,
) -> bool:
    """Send events until `ends`, in the loop's time, or until the worker stops.

    Returns false if the client takes no events, or its key is no longer valid.
    """
    closed, now = context.worker.waiters.closed, asyncio.get_running_loop().time
    closing = asyncio.ensure_future(closed.wait())
    try:
        while not (closed.is_set() or context.app.should_stop or now() > ends):
            event = b"data: %b\n\n" % context.overview.encoded_details()
            sending = asyncio.ensure_future(response.write(event))
            await asyncio.wait(
                [sending, closing], timeout=STALL_TIMEOUT, return_when=FIRST_COMPLETED
            )
            if not sending.done():
                sending.cancel()
                return False
            sending.result()
            if not context.access.may_still(request):
                return False
            await asyncio.wait([closing], timeout=STREAM_INTERVAL)
        return True
    finally:
        closing.cancel()
