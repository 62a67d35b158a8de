"""Errors as `application/problem+json` (RFC 9457), on every path."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web as aiohttp_web
from aiokafka.errors import KafkaError
from msgspec import json

from fraudapp.decisions.recent import Unknowable
from fraudapp.process import traces
from fraudapp.sinks.base import SinkUnavailable

log = logging.getLogger(__name__)
RETRY_AFTER_SECONDS = 2
GONE = 499
"""The status in logs and metrics if the client has gone before the answer, as in nginx."""

_OF_THE_BODY: Final = ("Content-Type", "Content-Length")

Handler = Callable[[aiohttp_web.Request], Awaitable[aiohttp_web.StreamResponse]]


class Problem(Exception):
    """Raised by handlers for any answer but success; `extra` members are added to the document."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = extra
        super().__init__(detail)

    def response(self) -> aiohttp_web.Response:
        """Return the problem as a response."""
        document = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.extra,
        }
        if trace := traces.current():
            document["request_id"] = trace.request_id
        return aiohttp_web.Response(
            body=json.encode(document),
            status=self.status,
            content_type="application/problem+json",
            headers=self.headers,
        )


@aiohttp_web.middleware
async def problems(request: aiohttp_web.Request, handler: Handler) -> aiohttp_web.StreamResponse:
    """Answer any exception of a handler with a problem document.

    If a part of the answer was sent already, the connection is aborted instead, so that no client
    takes the answer for complete.
    """
    try:
        return await handler(request)
    except Exception as exc:
        if request.transport is None or not request.writer.output_size:
            return _response(exc, request)
        log.exception("%s %s failed after its answer had begun", request.method, request.raw_path)
        request.transport.abort()
        raise


def of_http(exc: aiohttp_web.HTTPException, request: aiohttp_web.BaseRequest) -> Problem:
    """Convert an exception of aiohttp into a problem."""
    details = {
        404: f"there is nothing at {request.path}",
        405: f"{request.method} is not allowed at {request.path}",
    }
    kept = {name: value for name, value in exc.headers.items() if name not in _OF_THE_BODY}
    return Problem(exc.status, details.get(exc.status) or exc.text or exc.reason, headers=kept)


def _response(exc: Exception, request: aiohttp_web.Request) -> aiohttp_web.Response:
    if isinstance(exc, Problem):
        return exc.response()
    if isinstance(exc, aiohttp_web.HTTPException):
        return of_http(exc, request).response()
    if isinstance(exc, (SinkUnavailable, KafkaError, Unknowable)):
        log.warning("%s %s: %s", request.method, request.raw_path, exc)
        return _unavailable(exc).response()
    if request.transport is None:  # the client has disconnected meanwhile
        return aiohttp_web.Response(status=GONE, reason="Client Closed Request")
    log.error("%s %s failed", request.method, request.raw_path, exc_info=exc)
    return Problem(500, "an error on our side; it is in the log of this worker").response()


def _unavailable(exc: Exception) -> Problem:
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    if isinstance(exc, Unknowable):
        return Problem(503, f"not known at present: {exc}", headers=headers)
    # The log has the details; addresses and driver messages are not for callers.
    what = "a sink" if isinstance(exc, SinkUnavailable) else "the broker"
    return Problem(503, f"{what} does not answer; try again", headers=headers)
