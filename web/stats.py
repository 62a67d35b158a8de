"""The decision counts of the whole cluster, and what else the page shows."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final, cast

from aiohttp import web as aiohttp_web
from faust import web

from fraudapp.app import app, runtime
from web.overview import encoded_details, stats
from web.views import View, wants_page

STREAM_INTERVAL: Final = 1.0
"""Seconds between two events of the stream."""


@app.page("/stats", name="stats")
class Stats(View):
    """Counts decisions: a page for people, JSON for programs."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer what the table of decision counts holds."""
        if wants_page(request):
            return self.page("stats.html")
        return self.answer(stats(), headers={"Vary": "Accept"})


@app.page("/stats/details", name="stats-details")
class Details(View):
    """All that the page shows, as JSON."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer counts, rates, scores, latest blocks, partitions, workers and stores."""
        return self.bytes(encoded_details(), content_type="application/json")


@app.page("/stats/stream", name="stats-stream")
class Stream(View):
    """The same as server-sent events, until the worker stops or the caller goes."""

    async def get(self, request: web.Request) -> web.Response:
        """Send the details about every second."""
        response = aiohttp_web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        )
        await response.prepare(cast(aiohttp_web.Request, request))
        closed = runtime.waiting.closed
        if cast(Any, request).method != "HEAD":
            with suppress(ConnectionResetError):  # the caller has gone
                while not closed.is_set():
                    await response.write(b"data: %b\n\n" % encoded_details())
                    await _pause(closed)
        return cast(web.Response, response)


async def _pause(closed: asyncio.Event) -> None:
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(closed.wait(), STREAM_INTERVAL)
