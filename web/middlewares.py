"""What every request passes on its way in and out, in this order."""

from __future__ import annotations

import logging
import time
from typing import Final

from aiohttp import hdrs
from aiohttp import web as aiohttp_web
from aiohttp.web_protocol import RequestHandler

from fraudapp.metrics import http_requests, http_seconds
from web.access import access
from web.origins import at_home
from web.problems import Handler, Problem, problems
from web.server import web_app

log = logging.getLogger(__name__)

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Which versions run here is nobody's business.
    "Server": "fraudapp",
}


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


async def add_headers(request: aiohttp_web.Request, response: aiohttp_web.StreamResponse) -> None:
    """Add the headers that tell browsers to trust nothing but this server."""
    response.headers.update(HEADERS)
    # Static files are asked for again, and answered by 304 if they have not changed.
    static = request.path.startswith("/static/")
    response.headers.setdefault("Cache-Control", "no-cache" if static else "no-store")


def refuse(
    handler: RequestHandler,
    request: aiohttp_web.BaseRequest,
    status: int = 500,
    exc: BaseException | None = None,
    message: str | None = None,
) -> aiohttp_web.StreamResponse:
    """Answer what cannot be read as HTTP at all; it never comes to a middleware."""
    log.info("%s sent what is no HTTP request: %s", request.remote, type(exc).__name__)
    if request.writer.output_size > 0:
        raise ConnectionError("a part of the answer was sent already")
    detail = "this is not a valid HTTP request" if status < 500 else "an error on our side"
    response = Problem(status, detail, headers=HEADERS).response()
    response.force_close()
    return response


# The default answers in plain text, and there is no way to give Faust's server another handler.
RequestHandler.handle_error = refuse  # type: ignore[assignment, method-assign]
# Faust makes the application before this is imported, so its option for them would come too late.
web_app.middlewares.extend([observed, problems, at_home, access])
web_app.on_response_prepare.append(add_headers)
