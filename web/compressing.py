"""Large answers are sent as gzip to whoever takes it."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import hdrs
from aiohttp import web as aiohttp_web
from isal import igzip

from web.negotiation import depends_on, packing
from web.problems import Handler, Problem

LARGE: Final = 1_400
"""Bytes; what is smaller is one packet anyhow."""
AT_ONCE: Final = 64 << 10
"""Bytes that are packed in a fraction of a millisecond; more are in a thread."""
_LEVEL: Final = 1


@aiohttp_web.middleware
async def compressed(request: aiohttp_web.Request, handler: Handler) -> aiohttp_web.StreamResponse:
    """Pack what is large; refuse (406) whoever takes it neither packed nor as it is."""
    accepted = packing(request)
    if not any(accepted):
        depends_on(request, hdrs.ACCEPT_ENCODING)
        return Problem(406, "answers are sent as gzip, or as they are (identity)").response()
    response = await handler(request)
    if not isinstance(response, aiohttp_web.Response) or hdrs.CONTENT_ENCODING in response.headers:
        return response
    body = response.body
    if isinstance(body, (bytes, bytearray)) and len(body) >= (LARGE if accepted.plain else 1):
        depends_on(request, hdrs.ACCEPT_ENCODING)
        if accepted.gzip:
            response.body = await packed(bytes(body))
            response.headers[hdrs.CONTENT_ENCODING] = "gzip"
    return response


async def packed(body: bytes) -> bytes:
    """Return it as gzip; nobody waits longer than for a small one."""
    if len(body) <= AT_ONCE:
        return _packed(body)
    return await asyncio.to_thread(_packed, body)


def _packed(body: bytes) -> bytes:
    result: bytes = igzip.compress(body, _LEVEL, mtime=0)
    return result
