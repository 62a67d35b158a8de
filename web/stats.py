"""The decision counts of the whole cluster, and what else the page shows."""

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
STALLED: Final = 10.0
"""Seconds after which a caller who takes no events is let go."""


@route("/stats", name="stats")
class Stats(View):
    """Counts decisions: a page for people, JSON for programs."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer what the table of decision counts holds."""
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
    """The same as server-sent events for some minutes; readers ask again then."""

    async def get(self, request: web.Request) -> web.Response:
        """Send the details about every second."""
        self.context.overview.encoded_details()  # an error while there can be one
        response = aiohttp_web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        )
        await response.prepare(cast(aiohttp_web.Request, request))
        if cast(Any, request).method != "HEAD":
            ends = cast(Any, request).protocol.stream()
            with suppress(ConnectionResetError):  # the caller has gone
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
    """Send events until then, or the worker stops; false if the caller takes none, or may not."""
    closed, now = context.worker.waiters.closed, asyncio.get_running_loop().time
    closing = asyncio.ensure_future(closed.wait())
    try:
        while not (closed.is_set() or context.app.should_stop or now() > ends):
            event = b"data: %b\n\n" % context.overview.encoded_details()
            sending = asyncio.ensure_future(response.write(event))
            await asyncio.wait([sending, closing], timeout=STALLED, return_when=FIRST_COMPLETED)
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
