"""The middlewares of all requests, and the order in which a request passes them."""

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
from web.connection import Connection
from web.headers import HEADERS
from web.negotiation import varies
from web.origins import Origins
from web.problems import RETRY_AFTER_SECONDS, Handler, Problem, problems
from web.runner import Runner
from web.tracing import headers


class AccessControl:
    """The middlewares that decide who may use the API, made from the settings."""

    def __init__(self, settings: Settings) -> None:
        callers = Callers(settings.proxies)
        self.origins = Origins(settings.web_bind, settings.hosts)
        self.access = Access(settings, callers)
        self.audit = Audit(self.access, callers)


@aiohttp_web.middleware
async def observed(request: aiohttp_web.Request, handler: Handler) -> aiohttp_web.StreamResponse:
    """Count and time requests by route; all unknown paths share one label, which bounds labels."""
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
async def refuse_over_limit(
    request: aiohttp_web.Request, handler: Handler
) -> aiohttp_web.StreamResponse:
    """Answer 503 on a connection beyond the limit, except for health checks."""
    if request.path not in ALWAYS_OPEN and cast(Connection, request.protocol).crowded:
        retry = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        raise Problem(503, "there are too many connections; try again", headers=retry)
    return await handler(request)


async def add_headers(request: aiohttp_web.Request, response: aiohttp_web.StreamResponse) -> None:
    """Add the headers for security, tracing and caching to an answer."""
    response.headers.update(HEADERS)
    if trace := traces.current():
        response.headers.update(headers(trace))
    if names := varies(request):
        response.headers[hdrs.VARY] = ", ".join(names)
    # Browsers revalidate static files, and get 304 if these have not changed.
    static = request.path.startswith("/static/")
    response.headers.setdefault("Cache-Control", "no-cache" if static else "no-store")


def install(application: aiohttp_web.Application, runner: Runner, control: AccessControl) -> None:
    """Add the middlewares and headers to the application of Faust's web server.

    Faust has made the application by then, so its own option for middlewares comes too late.
    """
    application.middlewares.extend(
        [
            observed,
            compressed,
            problems,
            refuse_over_limit,
            control.origins.checked,
            control.access.checked,
        ]
    )
    application.on_startup.append(control.access.watch)
    application.on_response_prepare.append(add_headers)
    runner.around.append(control.audit.audited)
