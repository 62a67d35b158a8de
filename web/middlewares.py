"""What every request passes on its way in and out, in this order."""

from __future__ import annotations

import time
from typing import cast

from aiohttp import hdrs
from aiohttp import web as aiohttp_web

from fraudapp.metrics import http_requests, http_seconds
from fraudapp.process import traces
from fraudapp.settings import Settings
from web.access import ALWAYS_OPEN, Access
from web.audit import Audit
from web.caller import Callers
from web.compressing import compressed
from web.connections import Connection, Runner
from web.headers import HEADERS
from web.negotiation import varies
from web.origins import Origins
from web.problems import RETRY_AFTER_SECONDS, Handler, Problem, problems
from web.tracing import headers


class Door:
    """Who may come in, by the settings."""

    def __init__(self, settings: Settings) -> None:
        callers = Callers(settings.proxies)
        self.origins = Origins(settings.web_bind, settings.hosts)
        self.access = Access(settings, callers)
        self.audit = Audit(self.access, callers)


@aiohttp_web.middleware
async def observed(request: aiohttp_web.Request, handler: Handler) -> aiohttp_web.StreamResponse:
    """Count and time requests by route; what matches none is one route, or labels would grow."""
    resource = request.match_info.route.resource
    route = resource.canonical if resource else "(none)"
    method = request.method if request.method in hdrs.METH_ALL else "(other)"
    status, began = "(gone)", time.perf_counter()
    try:
        response = await handler(request)
        status = str(response.status)
        return response
    finally:
        http_requests.labels(route, method, status).inc()
        http_seconds.labels(route).observe(time.perf_counter() - began)


@aiohttp_web.middleware
async def room(request: aiohttp_web.Request, handler: Handler) -> aiohttp_web.StreamResponse:
    """Answer nothing but how the worker does where there are more connections than there may be."""
    if request.path not in ALWAYS_OPEN and cast(Connection, request.protocol).crowded:
        retry = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        raise Problem(503, "there are too many connections; try again", headers=retry)
    return await handler(request)


async def add_headers(request: aiohttp_web.Request, response: aiohttp_web.StreamResponse) -> None:
    """Add the headers that tell browsers to trust nothing but this server."""
    response.headers.update(HEADERS)
    if trace := traces.current():
        response.headers.update(headers(trace))
    if names := varies(request):
        response.headers[hdrs.VARY] = ", ".join(names)
    # Static files are asked for again, and answered by 304 if they have not changed.
    static = request.path.startswith("/static/")
    response.headers.setdefault("Cache-Control", "no-cache" if static else "no-sink")


def install(application: aiohttp_web.Application, runner: Runner, door: Door) -> None:
    """Let all requests of an application pass these.

    Faust has made the application by then, so its own option for middlewares comes too late.
    """
    application.middlewares.extend(
        [observed, compressed, problems, room, door.origins.at_home, door.access.checked]
    )
    application.on_startup.append(door.access.watch)
    application.on_response_prepare.append(add_headers)
    runner.around.append(door.audit.audited)
