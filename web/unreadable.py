"""Answers to bytes that aiohttp cannot parse as an HTTP request.

Such bytes never reach a middleware. This module gives the answer all that the middlewares add to
other answers: the problem document, the headers, the trace, the metric and the audit line.
"""

from __future__ import annotations

import logging

from aiohttp.http_exceptions import BadHttpMessage, LineTooLong
from aiohttp.web import BaseRequest, StreamResponse
from multidict import CIMultiDict

from fraudapp.metrics import http_requests
from fraudapp.process import traces
from fraudapp.process.logs import AUDIT
from web.headers import HEADERS
from web.limits import MAX_HEADERS, MAX_LINE_BYTES, MAX_URL_BYTES
from web.problems import Problem
from web.tracing import begun, headers

audit = logging.getLogger(AUDIT)


def answer(
    request: BaseRequest, status: int, exc: BaseException | None, *, received: int, head_size: int
) -> StreamResponse:
    """Return the last answer on this connection, for the `status` that aiohttp proposes.

    `received` is how many bytes of the head have arrived, `head_size` how many there may be. Raises
    `ConnectionError` if a part of another answer was sent already.
    """
    trace = traces.current() or begun(CIMultiDict())
    traces.enter(trace)
    if request.writer.output_size > 0:
        raise ConnectionError("a part of the answer was sent already")
    status, detail = _status_and_detail(status, exc, received, head_size)
    if status < 500:
        _record(request, status, exc)
    response = Problem(status, detail, headers={**HEADERS, **headers(trace)}).response()
    response.force_close()
    return response


def _status_and_detail(
    status: int, exc: BaseException | None, received: int, head_size: int
) -> tuple[int, str]:
    if status >= 500:
        return status, "an error on our side"
    if isinstance(exc, LineTooLong) and exc.args[1] == MAX_URL_BYTES:
        return 414, f"a URL is at most {MAX_URL_BYTES:,} bytes"
    many = isinstance(exc, BadHttpMessage) and exc.message.startswith("Too many headers")
    if received > head_size or many or isinstance(exc, LineTooLong):
        most = f"{head_size:,} bytes, of {MAX_LINE_BYTES:,} in a line, and {MAX_HEADERS} headers"
        return 431, f"the head of a request has at most {most}"
    return status, "this is not a valid HTTP request"


def _record(request: BaseRequest, status: int, exc: BaseException | None) -> None:
    """Count the request and write its audit line: it may have been an attempt to write."""
    http_requests.labels("(none)", "(other)", str(status)).inc()
    audit.info(
        "audit: %s sent an invalid HTTP request (%s): %s",
        request.remote,
        type(exc).__name__,
        status,
        extra={
            **dict.fromkeys(("key", "method", "path", "transactions")),
            # The peer, even if it is a proxy: the header with the proxy's client is unreadable too.
            "address": request.remote,
            "status": status,
        },
    )
