"""A receiver of webhooks on this machine, which answers as it is told to."""

from __future__ import annotations

import asyncio
import json
import ssl
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from aiohttp import web

from fraudapp.local.processes import free_port

KEY = bytes(range(32))
SECRET = "whsec_" + b64encode(KEY).decode()
PATIENCE = 60.0
"""Seconds that anything may take."""


class Receiving:
    """Notes each request, and what it has answered 2xx to."""

    def __init__(self, port: int = 0, context: ssl.SSLContext | None = None) -> None:
        self.port = port or free_port()
        self.requests: list[tuple[web.Request, bytes]] = []
        self.delivered: list[dict[str, Any]] = []
        """The bodies, with the header `webhook-id` as `id`."""
        self.answer: Callable[[], web.StreamResponse] = web.Response
        """Makes the answers; called for each request."""
        self.refused: set[str] = set()
        """Types of events that are answered 500."""
        self.hangs = asyncio.Event()
        """While it is set, nobody is answered."""
        self._context = context
        self._came = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        scheme = "https" if self._context else "http"
        return f"{scheme}://127.0.0.1:{self.port}/hooks/token?of=mine"

    @property
    def ids(self) -> list[str]:
        return [each["id"] for each in self.delivered]

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._context)
        await site.start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def has(self, count: int, *, requests: int = 0) -> None:
        """Return once so many deliveries and so many requests are there."""
        async with self._came:
            enough = self._came.wait_for(
                lambda: len(self.delivered) >= count and len(self.requests) >= requests
            )
            await asyncio.wait_for(enough, PATIENCE)

    async def _take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.requests.append((request, body))
        response = self.answer()
        event = json.loads(body)
        if event["type"] in self.refused:
            response = web.Response(status=500)
        if self.hangs.is_set():
            await self._tell()
            await asyncio.Event().wait()
        if 200 <= response.status < 300:
            self.delivered.append({**event, "id": request.headers["webhook-id"]})
        await self._tell()
        return response

    async def _tell(self) -> None:
        async with self._came:
            self._came.notify_all()
